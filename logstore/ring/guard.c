/* The guard: mutual exclusion that survives the death of its owner.
 *
 * Two things make it up.  The named POSIX semaphore is where writers sleep; the `owner` word is the
 * exclusion.  A writer takes a token from the semaphore and then swaps `owner` from 0 to itself.
 * Because the word decides, tokens may be lost (their taker was killed) or surplus (a repair posted
 * one too many) without harm:
 *
 *   - surplus: its taker fails the swap, and has thereby absorbed it; the owner posts on release;
 *   - lost: whoever times out on the semaphore tries the swap without a token, and posts on release.
 *
 * A dead owner is found through its lock (liveness.py) and undone by ls_guard_repair.  Nothing is
 * ever taken from a live owner, however slow.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <time.h>

#include "ring/ring.h"

enum { SPINS = 64, YIELDS = 64 };

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

static int claim(struct ls_ring *ring)
{
    uint64_t nobody = 0;
    /* Pairs with: the exchange in ls_guard_release and in ls_guard_repair. */
    return atomic_compare_exchange_strong_explicit(&ring->region->owner, &nobody, ring->me,
                                                   memory_order_acquire, memory_order_relaxed);
}

static int take(struct ls_ring *ring)
{
    if (sem_trywait(ring->semaphore) != 0)
        return 0;
    LS_POINT("guard.token"); /* Crash: a lost token; the next time-out replaces it. */
    return claim(ring);
}

enum ls_status ls_guard_try(struct ls_ring *ring)
{
    for (int spin = 0; spin < SPINS; spin++) {
        if (take(ring))
            return LS_OK;
        relax();
    }
    return LS_BUSY;
}

/* Take the guard, asleep if need be.  Its owner has most likely lost his core just now: let him have ours
 * first.  As long as anybody sleeps, each release costs a system call, and the more will have to sleep. */
enum ls_status ls_guard_until(struct ls_ring *ring, uint64_t deadline_ns)
{
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
                                .tv_nsec = (long)(deadline_ns % 1000000000u)};
    for (int yield = 0; yield < YIELDS; yield++) {
        sched_yield();
        if (take(ring))
            return LS_OK;
    }
    for (;;) {
        if (sem_clockwait(ring->semaphore, CLOCK_MONOTONIC, &deadline) == 0) {
            LS_POINT("guard.token");
            if (claim(ring))
                return LS_OK;
        } else if (errno == EINTR) {
            return LS_INTERRUPTED;
        } else {
            return claim(ring) ? LS_OK : LS_BUSY;
        }
    }
}

void ls_guard_release(struct ls_ring *ring)
{
    int tokens = 1;

    LS_POINT("guard.release"); /* Crash: owner is dead and set; repair finds the work done. */
    /* Order: the store must be visible before the semaphore's value is read, or a writer that fails
     * its swap on the old owner and absorbs the last token would go unnoticed: hence seq_cst. */
    atomic_exchange_explicit(&ring->region->owner, 0, memory_order_seq_cst);
    LS_POINT("guard.released"); /* Crash: no token is left; the next time-out replaces it. */
    sem_getvalue(ring->semaphore, &tokens);
    if (tokens == 0)
        sem_post(ring->semaphore);
}

void ls_guard_post(struct ls_ring *ring)
{
    int tokens = 1;
    sem_getvalue(ring->semaphore, &tokens);
    if (tokens == 0)
        sem_post(ring->semaphore);
}

/* If the newest reservation is a revert frame that was published, make the region say so. */
static void redo_revert(struct ls_ring *ring)
{
    struct ls_region *region = ring->region;
    uint64_t lsn = atomic_load_explicit(&region->intent, memory_order_relaxed);
    struct ls_frame *frame = ls_frame_at(ring, lsn);
    uint64_t word = atomic_load_explicit(ls_frame_atomic_word(frame), memory_order_acquire);

    if (lsn == atomic_load_explicit(&region->head, memory_order_relaxed) ||
        ((uint32_t)word & LS_IN_FLIGHT) || frame->lsn != lsn || frame->kind != LS_REVERT ||
        atomic_load_explicit(&region->newest_revert_lsn, memory_order_relaxed) == lsn)
        return;
    atomic_store_explicit(&region->newest_revert_lsn, lsn, memory_order_release);
    atomic_fetch_add_explicit(&region->revert_count, 1, memory_order_release);
}

/* Undo or finish what the dead owner `dead` was doing.  Returns 1 if it did own the guard.
 *
 * The caller knows that `dead` is dead and holds the recovery lock, so that nobody else repairs.
 * `intent` tells how far the owner came: equal to head, it reserved nothing; otherwise the store of
 * head was done and only the group's seq may be behind.  Taking the maximum makes it idempotent, so a
 * killed repairer is simply repeated.
 */
int ls_guard_repair(struct ls_ring *ring, uint32_t dead)
{
    struct ls_region *region = ring->region;
    uint64_t group, seq;

    if (atomic_load_explicit(&region->owner, memory_order_acquire) != dead)
        return 0;
    if (atomic_load_explicit(&region->head, memory_order_acquire) !=
        atomic_load_explicit(&region->intent, memory_order_acquire)) {
        group = atomic_load_explicit(&region->intent_group, memory_order_relaxed) % LS_GROUPS;
        seq = atomic_load_explicit(&region->intent_seq, memory_order_relaxed);
        if (seq > atomic_load_explicit(&region->groups[group].seq, memory_order_relaxed))
            atomic_store_explicit(&region->groups[group].seq, seq, memory_order_relaxed);
    }
    redo_revert(ring);
    LS_POINT("repair.redone"); /* Crash: the owner word still names the dead; repeated. */
    atomic_fetch_add_explicit(&region->repairs, 1, memory_order_relaxed);
    atomic_exchange_explicit(&region->owner, 0, memory_order_seq_cst);
    ls_guard_post(ring);
    return 1;
}

/* Change the state while no reservation can be under way: after it, none sees the old state. */
enum ls_status ls_set_state_guarded(struct ls_ring *ring, enum ls_state state, uint64_t deadline_ns)
{
    enum ls_status status = ls_guard_until(ring, deadline_ns);
    if (status != LS_OK)
        return status;
    ls_change_state(ring, state);
    ls_guard_release(ring);
    ls_set_state(ring, state);
    return LS_OK;
}

#ifdef LOGSTORE_FAIL_POINTS
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* LOGSTORE_FAIL_POINT=name or name:n (die at the n-th arrival); with LOGSTORE_FAIL_SIGNAL=19 it stops
 * instead of dying; with LOGSTORE_FAIL_ONCE=path only the one process that removes that file does. */
void ls_point(const char *name)
{
    static _Atomic long arrivals;
    const char *wanted = getenv("LOGSTORE_FAIL_POINT");
    const char *colon;
    const char *signal_number = getenv("LOGSTORE_FAIL_SIGNAL");
    const char *once = getenv("LOGSTORE_FAIL_ONCE");
    size_t length;

    if (wanted == NULL)
        return;
    colon = strchr(wanted, ':');
    length = colon ? (size_t)(colon - wanted) : strlen(wanted);
    if (strlen(name) != length || strncmp(name, wanted, length) != 0)
        return;
    if (atomic_fetch_add(&arrivals, 1) + 1 == (colon ? atol(colon + 1) : 1) &&
        (once == NULL || unlink(once) == 0))
        kill(getpid(), signal_number ? atoi(signal_number) : SIGKILL);
}
#endif
