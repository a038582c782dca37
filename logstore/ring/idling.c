/* How the workers pass the time when their step found nothing to do: a vigil, then sleep, and work.
 *
 * On a quick disk, waking an idle core costs as much as a sync, and so does the Python of a worker's step.
 * So while somebody waits for the disk, a worker keeps a vigil: it looks for the next piece of work awake,
 * and does it right here.  It yields between two looks: whoever has work to do takes the core.  Then it
 * sleeps, does here what it is woken for, and begins again; for 50 ms, then the step has its turn.
 *
 * What is done here is what the worker's step does, in the same order, as long as nothing is out of the
 * ordinary.  Whatever is (damage, a full segment, a new one, a write that failed) is left to the step.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "ring/ring.h"

#define HAND_OVER_NS UINT64_C(50000)        /* from a writer's demand to `written`, at most */
#define LONGEST_NS UINT64_C(50000000)       /* the step has more to look after */
#define FILLED UINT64_C(262144)             /* bytes of zeros ahead of what is synced in small pieces */

/* Does somebody wait until what lies at `lsn` is durable? */
static int demanded(const struct ls_region *region, uint64_t lsn)
{
    return atomic_load_explicit(&region->sync_request, memory_order_relaxed) > lsn;
}

/* Is the frame at which the walk stopped published? */
static int is_published(const struct ls_ring *ring, uint64_t lsn)
{
    return atomic_load_explicit(&ring->region->head, memory_order_acquire) > lsn &&
           !((uint32_t)atomic_load_explicit(ls_frame_atomic_word(ls_frame_at(ring, lsn)),
                                            memory_order_acquire) & LS_IN_FLIGHT);
}

static int committer_ready(const struct ls_ring *ring, enum ls_mode mode, uint64_t blocked_lsn)
{
    return (mode != LS_NAPPING || demanded(ring->region, blocked_lsn)) && is_published(ring, blocked_lsn);
}

static int syncer_ready(const struct ls_region *region, enum ls_mode mode)
{
    uint64_t synced = atomic_load_explicit(&region->synced, memory_order_relaxed);
    return atomic_load_explicit(&region->written, memory_order_acquire) > synced &&
           (mode != LS_NAPPING || demanded(region, synced));
}

/* How long to look for work before sleeping: the committer for as long as the sync takes, because the next
 * record comes right after it, and the syncer until that record is written. */
static uint64_t vigil_ns(const struct ls_region *region, int is_syncer)
{
    uint64_t sync_ns = atomic_load_explicit(&region->sync_recent_ns, memory_order_relaxed);
    if (!ls_disk_is_quick(region) ||
        !demanded(region, atomic_load_explicit(&region->synced, memory_order_relaxed)))
        return 0;
    return is_syncer ? 2 * HAND_OVER_NS : sync_ns + sync_ns / 2 + HAND_OVER_NS;
}

/* Write zeros ahead of a small piece that somebody waits for.
 *
 * Bytes that are reserved and were never written cost a sync a commit of the file system's journal, which
 * takes as long as the sync itself: now one in FILLED bytes has it, and the others only their own pages.
 * Nothing depends on it: what lies there reads as zeros anyway, or will be written once more. */
static void fill_ahead(struct ls_ring *ring, const struct ls_file *file, uint64_t from, uint64_t to)
{
    static const char zeros[FILLED];
    uint64_t start = ring->filled > to ? ring->filled : to;
    uint64_t end = file->end < start + FILLED ? file->end : start + FILLED;

    if (to - from > FILLED / 4 || start - to > FILLED / 4 || start >= end || !demanded(ring->region, from))
        return;
    ring->filled = end;
    if (pwrite(file->fd, zeros, end - start, (off_t)(start - file->origin)) < 0)
        errno = 0; /* the next write or sync says what is wrong */
}

/* Write one extent, as the committer's step does.  Returns 0 if that is for the step: if the write fails or
 * is cut short, the step writes the same bytes to the same place once more, and knows what to do. */
static int write_extent(struct ls_ring *ring, const struct ls_file *file, uint64_t *blocked_lsn)
{
    uint64_t from = atomic_load_explicit(&ring->region->written, memory_order_relaxed);
    uint64_t room = file->end > from ? file->end - from : 0;
    struct ls_extent extent;

    if (file->fd < 0 || from < file->origin || !ls_sound(ring))
        return 0;
    ls_walk(ring, from, room < LS_EXTENT ? room : LS_EXTENT, 1, &extent);
    if (extent.to == from || extent.to - from > room)
        return 0;
    ls_advance_published(ring, extent.to);
    LS_POINT("vigil.published");
    if (pwrite(file->fd, ring->bytes + (from & (ring->capacity - 1)), extent.to - from,
               (off_t)(from - file->origin)) != (ssize_t)(extent.to - from))
        return 0;
    LS_POINT("vigil.file"); /* Crash: the successor writes the same bytes in the same place. */
    ls_advance_written(ring, extent.to);
    ls_count_drain(ring, extent.to - from);
    fill_ahead(ring, file, from, extent.to);
    *blocked_lsn = extent.at;
    return 1;
}

/* The committer's vigil; its walk stopped at `*blocked_lsn` (the head, or a frame in flight).
 * Returns whether there is something for the step; if not, nobody waits, and it may sleep. */
int ls_keep_writing(struct ls_ring *ring, const struct ls_file *file, uint64_t *blocked_lsn, uint64_t state)
{
    const struct ls_region *region = ring->region;
    uint64_t vigil = vigil_ns(region, 0);
    uint64_t began = ls_now_ns(), now = began, until = began + vigil;

    for (; vigil && now < until; sched_yield(), now = ls_now_ns()) {
        if (atomic_load_explicit(&region->state, memory_order_acquire) != state)
            return 1;
        if (!committer_ready(ring, LS_NAPPING, *blocked_lsn))
            continue;
        if (now - began > LONGEST_NS || !write_extent(ring, file, blocked_lsn))
            return 1;
        until = ls_now_ns() + vigil;
    }
    return 0;
}

/* Sync the one file that has all that is not durable, as the syncer's step does.  Returns 0 if that is for
 * the step, or if the disk refused: then `errno` is not 0, and nothing may be synced any more. */
static int sync_file(struct ls_ring *ring, int fd, uint64_t segments)
{
    struct ls_region *region = ring->region;
    uint64_t began = ls_now_ns();
    uint64_t from = atomic_load_explicit(&region->synced, memory_order_relaxed);
    /* Order: `written` before the segments: one is announced before bytes are written there. */
    uint64_t to = atomic_load_explicit(&region->written, memory_order_acquire);

    errno = 0;
    if (fd < 0 || atomic_load_explicit(&region->segment_count, memory_order_acquire) != segments ||
        !ls_sound(ring))
        return 0;
    atomic_store_explicit(&region->sync_intent, to, memory_order_seq_cst);
    LS_POINT("vigil.intent");
    while (fdatasync(fd) != 0)
        if (errno != EINTR) /* a signal: nothing has been refused yet, as Python's call sees it too */
            return 0;
    LS_POINT("vigil.synced");
    ls_advance_synced(ring, to);
    ls_count_sync(ring, to - from, ls_now_ns() - began);
    return 1;
}

/* The syncer's vigil; `fd` has all that is not durable while no more than `segments` have been begun.
 * Returns whether there is something for the step, or -1 with `errno` if the disk refused a sync. */
int ls_keep_syncing(struct ls_ring *ring, int fd, uint64_t segments, uint64_t state)
{
    const struct ls_region *region = ring->region;
    uint64_t vigil = vigil_ns(region, 1);
    uint64_t began = ls_now_ns(), now = began, until = began + vigil;

    for (; vigil && now < until; sched_yield(), now = ls_now_ns()) {
        if (atomic_load_explicit(&region->state, memory_order_acquire) != state)
            return 1;
        if (!syncer_ready(region, LS_NAPPING))
            continue;
        if (now - began > LONGEST_NS)
            return 1;
        if (!sync_file(ring, fd, segments))
            return errno ? -1 : 1;
        until = ls_now_ns() + vigil;
    }
    return 0;
}

/* Sleep in `mode` until woken or the deadline, unless `ready` work or a new state is there already.
 * The mode was stored before the caller looked: whoever adds work after that look sees the mode. */
static enum ls_status idle(struct ls_ring *ring, _Atomic uint32_t *word, enum ls_mode mode, int ready,
                           uint64_t state, uint64_t deadline_ns)
{
    enum ls_status status = LS_OK;
    if (!ready && atomic_load_explicit(&ring->region->state, memory_order_seq_cst) == state)
        status = ls_wait_change(word, mode, deadline_ns);
    atomic_store_explicit(word, LS_AWAKE, memory_order_relaxed);
    return status;
}

static enum ls_status committer_sleep(struct ls_ring *ring, enum ls_mode mode, uint64_t blocked_lsn,
                                      uint64_t state, uint64_t deadline_ns)
{
    _Atomic uint32_t *word = &ring->region->committer_mode;
    atomic_store_explicit(word, mode, memory_order_relaxed);
    /* Pairs with: the fences in ring_bell and ls_demand. */
    atomic_thread_fence(memory_order_seq_cst);
    return idle(ring, word, mode, committer_ready(ring, mode, blocked_lsn), state, deadline_ns);
}

static enum ls_status syncer_sleep(struct ls_ring *ring, enum ls_mode mode, uint64_t state,
                                   uint64_t deadline_ns)
{
    _Atomic uint32_t *word = &ring->region->syncer_mode;
    atomic_store_explicit(word, mode, memory_order_relaxed);
    /* Pairs with: the fences in ls_advance_written and ls_demand. */
    atomic_thread_fence(memory_order_seq_cst);
    return idle(ring, word, mode, syncer_ready(ring->region, mode), state, deadline_ns);
}

/* After work: does somebody wait for the next record, so that its append shall wake the committer?  Else it
 * naps, and small pieces become one. */
static enum ls_mode mode_after_work(const struct ls_region *region, uint64_t blocked_lsn, uint64_t now)
{
    uint64_t until = atomic_load_explicit(&region->eager_until_ns, memory_order_relaxed);
    /* A follower in another time namespace has another clock: what it says may lie far ahead. */
    int eager = until > now && until - now <= LS_EAGER_NS;
    return demanded(region, blocked_lsn) || eager ? LS_SLEEPING : LS_NAPPING;
}

/* The committer has nothing to do: its walk stopped at `blocked_lsn`.  It sleeps in `mode` until the
 * deadline; what wakes it is written at once: who waits for it (a follower) has been woken too, and looks for
 * it by now.  Returns when there is something for the step, or nothing to write at the end of a sleep. */
enum ls_status ls_committer_idle(struct ls_ring *ring, const struct ls_file *file, enum ls_mode mode,
                                 uint64_t blocked_lsn, uint64_t state, uint64_t deadline_ns)
{
    const struct ls_region *region = ring->region;
    uint64_t began = 0;

    for (;;) {
        enum ls_status status = committer_sleep(ring, mode, blocked_lsn, state, deadline_ns);
        uint64_t now = ls_now_ns();
        began = began ? began : now;
        if (status == LS_INTERRUPTED || now - began > LONGEST_NS || !is_published(ring, blocked_lsn) ||
            atomic_load_explicit(&region->state, memory_order_acquire) != state ||
            !write_extent(ring, file, &blocked_lsn) || ls_keep_writing(ring, file, &blocked_lsn, state))
            return status;
        now = ls_now_ns();
        mode = mode_after_work(region, blocked_lsn, now);
        deadline_ns = now + (mode == LS_NAPPING ? LS_NAP_NS : 10 * LS_NAP_NS);
    }
}

/* The syncer has nothing to do.  It sleeps in `mode` until the deadline; what somebody waits for by then is
 * synced at once.  Returns as ls_keep_syncing does: 0 also if nobody waits at the end of a sleep. */
int ls_syncer_idle(struct ls_ring *ring, int fd, uint64_t segments, enum ls_mode mode, uint64_t state,
                   uint64_t deadline_ns)
{
    const struct ls_region *region = ring->region;
    uint64_t began = 0;
    int more = 0;

    do {
        enum ls_status status = syncer_sleep(ring, mode, state, deadline_ns);
        uint64_t now = ls_now_ns();
        int ready = syncer_ready(region, LS_NAPPING);
        began = began ? began : now;
        if (status == LS_INTERRUPTED || (status == LS_TIMED_OUT && !ready) || now - began > LONGEST_NS ||
            atomic_load_explicit(&region->state, memory_order_acquire) != state)
            return 0;
        if (ready && !sync_file(ring, fd, segments))
            return errno ? -1 : 1;
        more = ls_keep_syncing(ring, fd, segments, state);
        mode = LS_SLEEPING;
        /* What is written meanwhile and not waited for is for the step, which knows the interval. */
    } while (more == 0 && !syncer_ready(region, LS_SLEEPING));
    return more;
}
