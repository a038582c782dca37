/* Waiting and waking: futexes on the watermarks and on the workers' modes.
 *
 * Who waits for a watermark sleeps on its low 32 bits, in one of 32 classes chosen by the LSN waited
 * for, so that an advance wakes those it covers and not the rest.  A waiter needs only to read the
 * region: a read-only attachment can wait too.
 *
 * A follower, who waits for what is not appended yet, sleeps on the committer's mode as well.  The append
 * that wakes the committer wakes it too, and both get up at once, not one after the other; then it looks
 * for the watermark for a moment, awake.
 *
 * Every wait ends at a deadline that the caller cuts into slices; between slices it looks whether the
 * service still lives.  A wake-up that was lost with its sender costs one slice, never a hang.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ring/ring.h"

enum { CLASS_SHIFT = 9 };                       /* a class spans 512 bytes of log */
#define SOON_NS UINT64_C(50000)                 /* from an append to `written`, if both got up for it */

uint64_t ls_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static enum ls_status futex_wait(const void *word, uint32_t seen, uint64_t deadline_ns,
                                 uint32_t classes)
{
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
                                .tv_nsec = (long)(deadline_ns % 1000000000u)};
    if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET, seen, &deadline, NULL, classes) == 0 ||
        errno == EAGAIN)
        return LS_OK;
    return errno == EINTR ? LS_INTERRUPTED : LS_TIMED_OUT;
}

static void futex_wake(const void *word, int count, uint32_t classes)
{
    syscall(SYS_futex, word, FUTEX_WAKE_BITSET, count, NULL, NULL, classes);
}

static uint32_t class_of(uint64_t lsn)
{
    return UINT32_C(1) << ((lsn >> CLASS_SHIFT) & 31);
}

/* The classes of all LSNs in [from, to). */
static uint32_t classes_of(uint64_t from, uint64_t to)
{
    uint64_t first = from >> CLASS_SHIFT;
    uint64_t last = (to - 1) >> CLASS_SHIFT;
    uint32_t classes = 0;
    if (last - first >= 31)
        return UINT32_MAX;
    for (uint64_t number = first; number <= last; number++)
        classes |= UINT32_C(1) << (number & 31);
    return classes;
}

void ls_wake_classes(_Atomic uint64_t *watermark, uint64_t from, uint64_t to)
{
    if (to > from)
        futex_wake(watermark, INT32_MAX, classes_of(from, to));
}

/* Wake a worker, and the followers that sleep with it. */
void ls_wake_worker(_Atomic uint32_t *mode)
{
    if (atomic_exchange_explicit(mode, LS_AWAKE, memory_order_seq_cst) != LS_AWAKE)
        futex_wake(mode, INT32_MAX, UINT32_MAX);
}

static void raise_request(_Atomic uint64_t *request, uint64_t to)
{
    uint64_t now = atomic_load_explicit(request, memory_order_relaxed);
    while (now < to && !atomic_compare_exchange_weak_explicit(
                           request, &now, to, memory_order_seq_cst, memory_order_relaxed))
        ;
}

/* Say that somebody waits until the watermark of `level` exceeds `lsn`, and get the workers going. */
void ls_demand(struct ls_ring *ring, enum ls_level level, uint64_t lsn)
{
    struct ls_region *region = ring->region;
    if (ring->semaphore == NULL) /* a read-only attachment may not write the region */
        return;
    if (level == LS_LEVEL_SYNCED)
        raise_request(&region->sync_request, lsn + 1);
    else
        atomic_store_explicit(&region->eager_until_ns, ls_now_ns() + LS_EAGER_NS, memory_order_relaxed);
    /* Order: the request before `written`.  Pairs with: the fence in ls_advance_written. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&region->written, memory_order_acquire) <= lsn) {
        uint32_t mode = atomic_load_explicit(&region->committer_mode, memory_order_relaxed);
        /* What is not appended yet will wake a sleeping committer itself. */
        if (mode == LS_NAPPING ||
            (mode == LS_SLEEPING && atomic_load_explicit(&region->head, memory_order_relaxed) > lsn))
            ls_wake_worker(&region->committer_mode);
    }
    /* The committer wakes the syncer once `lsn` is written; for a quick disk it gets up meanwhile. */
    if (level == LS_LEVEL_SYNCED &&
        (ls_disk_is_quick(region) || atomic_load_explicit(&region->written, memory_order_relaxed) > lsn) &&
        atomic_load_explicit(&region->syncer_mode, memory_order_relaxed) != LS_AWAKE)
        ls_wake_worker(&region->syncer_mode);
}

static int hopeless(const struct ls_ring *ring)
{
    uint64_t state = atomic_load_explicit(&ring->region->state, memory_order_acquire);
    return state >= LS_STATE_FULL; /* FULL, FAILED, CLOSED: the caller must hear of it */
}

#ifdef SYS_futex_waitv
/* Sleep until the watermark moves on or the committer is woken.  Returns LS_WRONG_STATE if the kernel has
 * not this call; else as futex_wait. */
static enum ls_status wait_with_committer(const struct ls_ring *ring, const _Atomic uint64_t *watermark,
                                          uint32_t seen, uint64_t deadline_ns)
{
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
                                .tv_nsec = (long)(deadline_ns % 1000000000u)};
    const _Atomic uint32_t *mode = &ring->region->committer_mode;
    /* Whatever the mode is now: the committer tells nobody that it lies down, but is woken loudly. */
    struct futex_waitv words[] = {
        {.uaddr = (uintptr_t)watermark, .val = seen, .flags = FUTEX_32},
        {.uaddr = (uintptr_t)mode, .val = atomic_load_explicit(mode, memory_order_relaxed), .flags = FUTEX_32},
    };
    if (syscall(SYS_futex_waitv, words, 2, 0, &deadline, CLOCK_MONOTONIC) >= 0 || errno == EAGAIN)
        return LS_OK;
    if (errno == EINTR)
        return LS_INTERRUPTED;
    return errno == ETIMEDOUT ? LS_TIMED_OUT : LS_WRONG_STATE;
}

/* Sleep as a follower, and look for the watermark awake for a moment once the committer has been woken.
 * Returns LS_WRONG_STATE if this cannot be done. */
static enum ls_status follow(const struct ls_ring *ring, const _Atomic uint64_t *watermark, uint64_t seen,
                             uint64_t deadline_ns)
{
    enum ls_status status = wait_with_committer(ring, watermark, (uint32_t)seen, deadline_ns);
    if (status == LS_OK) {
        uint64_t until = ls_now_ns() + SOON_NS;
        while (atomic_load_explicit(watermark, memory_order_acquire) == seen && ls_now_ns() < until)
            sched_yield();
    }
    return status;
}
#else
static enum ls_status follow(const struct ls_ring *ring, const _Atomic uint64_t *watermark, uint64_t seen,
                             uint64_t deadline_ns)
{
    (void)ring, (void)watermark, (void)seen, (void)deadline_ns;
    return LS_WRONG_STATE;
}
#endif

__attribute__((noinline)) static enum ls_status sleep_until(const struct ls_ring *ring, enum ls_level level,
                                                            uint64_t lsn, uint64_t deadline_ns)
{
    const _Atomic uint64_t *watermark = ls_watermark(ring, level);
    for (;;) {
        uint64_t now = atomic_load_explicit(watermark, memory_order_acquire);
        enum ls_status status = LS_WRONG_STATE;
        if (now > lsn)
            return LS_OK;
        if (hopeless(ring))
            return LS_WRONG_STATE;
        /* A follower: what it waits for is not appended yet.  Others are woken by class, and not in vain. */
        if (level != LS_LEVEL_SYNCED && lsn >= atomic_load_explicit(&ring->region->head, memory_order_relaxed))
            status = follow(ring, watermark, now, deadline_ns);
        if (status == LS_WRONG_STATE)
            status = futex_wait(watermark, (uint32_t)now, deadline_ns, class_of(lsn));
        if (status != LS_OK)
            return status;
    }
}

/* Sleep until the watermark of `level` exceeds `lsn`. */
enum ls_status ls_wait(struct ls_ring *ring, enum ls_level level, uint64_t lsn, uint64_t deadline_ns)
{
    return ls_passed(ring, level, lsn) ? LS_OK : sleep_until(ring, level, lsn, deadline_ns);
}

/* Sleep until the ring has room for `span` more bytes. */
enum ls_status ls_wait_room(struct ls_ring *ring, uint64_t span, uint64_t deadline_ns)
{
    struct ls_region *region = ring->region;
    for (;;) {
        uint64_t needed = atomic_load_explicit(&region->head, memory_order_acquire) + span;
        uint64_t now = atomic_load_explicit(&region->written, memory_order_acquire);
        enum ls_status status;
        if (now + ring->capacity - needed <= ring->capacity) /* as has_room sees it */
            return LS_OK;
        if (hopeless(ring))
            return LS_WRONG_STATE;
        if (atomic_load_explicit(&region->committer_mode, memory_order_relaxed) != LS_AWAKE)
            ls_wake_worker(&region->committer_mode);
        status = futex_wait(&region->written, (uint32_t)now, deadline_ns,
                            class_of(needed - ring->capacity - 1));
        if (status != LS_OK)
            return status;
    }
}

enum ls_status ls_wait_change(_Atomic uint32_t *word, uint32_t seen, uint64_t deadline_ns)
{
    while (atomic_load_explicit(word, memory_order_acquire) == seen) {
        enum ls_status status = futex_wait(word, seen, deadline_ns, UINT32_MAX);
        if (status != LS_OK)
            return status;
    }
    return LS_OK;
}

void ls_knock(struct ls_ring *ring)
{
    atomic_fetch_add_explicit(&ring->region->attach_count, 1, memory_order_release);
    futex_wake(&ring->region->attach_count, INT32_MAX, UINT32_MAX);
}

/* Store a new state, unless the log has failed: a failure is for the rest of the epoch, and whoever
 * looked at the state before it happened must not undo it. Otherwise the syncer would go on. */
void ls_change_state(struct ls_ring *ring, enum ls_state state)
{
    _Atomic uint64_t *word = &ring->region->state;
    uint64_t old = atomic_load_explicit(word, memory_order_acquire);
    while (old != LS_STATE_FAILED &&
           !atomic_compare_exchange_weak_explicit(word, &old, state, memory_order_seq_cst, memory_order_acquire))
        ;
}

/* Publish a new state and wake everybody who sleeps, so that they see it. */
void ls_set_state(struct ls_ring *ring, enum ls_state state)
{
    struct ls_region *region = ring->region;
    ls_change_state(ring, state);
    futex_wake(&region->published, INT32_MAX, UINT32_MAX);
    futex_wake(&region->written, INT32_MAX, UINT32_MAX);
    futex_wake(&region->synced, INT32_MAX, UINT32_MAX);
    ls_wake_worker(&region->committer_mode);
    ls_wake_worker(&region->syncer_mode);
}
