/* The committer's and the syncer's side: how far is published, and moving the watermarks on. */
#include "ring/ring.h"

/* Is the frame at `lsn`, in flight or published, sound?  `end` is the head: no frame reaches beyond it. */
static inline int sound(const struct ls_ring *ring, uint64_t lsn, uint64_t word, uint64_t end, int verify)
{
    struct ls_frame *frame = ls_frame_at(ring, lsn);
    struct ls_frame header;
    uint32_t size = (uint32_t)word & ~LS_IN_FLIGHT;
    if (size == 0 || frame->lsn != lsn || ls_span((uint64_t)size - 1) > end - lsn)
        return 0;
    return !verify || ((uint32_t)word & LS_IN_FLIGHT) ||
           ls_frame_check(frame, end - lsn, lsn, end, ring->salt, &header) == LS_FRAME_OK;
}

/* Does something begin at `lsn` that may be a frame: one in flight, or a published one that is sound, or
 * what is not reserved yet? */
static int boundary(const struct ls_ring *ring, uint64_t lsn, uint64_t end)
{
    struct ls_frame *frame = ls_frame_at(ring, lsn);
    return lsn == end ||
           (end - lsn >= LS_FRAME_HEADER &&
            sound(ring, lsn, atomic_load_explicit(ls_frame_atomic_word(frame), memory_order_acquire), end, 1));
}

uint64_t ls_next_boundary(const struct ls_ring *ring, uint64_t lsn, uint64_t end)
{
    while (lsn < end && !boundary(ring, lsn, end))
        lsn += LS_ALIGNMENT;
    return lsn;
}

/* Is the stretch between the end of a frame and the next one too short for a frame?  Then the frame has
 * not the size that was reserved for it: its writer changed it, and made the checksum right. */
static int leaves_sliver(const struct ls_ring *ring, uint64_t next, uint64_t end)
{
    if (next == end || ls_frame_at(ring, next)->lsn == next)
        return 0;
    for (uint64_t at = next + LS_ALIGNMENT; at < next + LS_FRAME_HEADER && at <= end; at += LS_ALIGNMENT)
        if (boundary(ring, at, end))
            return 1;
    return 0;
}

/* Find the longest run of whole published frames and whole batches that begins at `from`, has at most
 * `most` bytes unless its first batch alone is longer, and ends at a frame boundary.  With `verify`,
 * checksums are checked as well. */
void ls_walk(const struct ls_ring *ring, uint64_t from, uint64_t most, int verify,
             struct ls_extent *extent)
{
    /* Pairs with: the release of head in reserve_guarded: headers below it are written. */
    uint64_t end = atomic_load_explicit(&ring->region->head, memory_order_acquire);
    uint64_t lsn = from;

    *extent = (struct ls_extent){.from = from, .to = from, .at = from, .stop = LS_STOP_DRY};
    if (end - from > ring->capacity || from % LS_ALIGNMENT != 0) { /* also if end < from */
        extent->stop = LS_STOP_DAMAGED;
        return;
    }
    while (lsn < end) {
        struct ls_frame *frame = ls_frame_at(ring, lsn);
        /* Pairs with: the release in seal_word: a published frame's bytes are all there. */
        uint64_t word = atomic_load_explicit(ls_frame_atomic_word(frame), memory_order_acquire);
        uint64_t next;

        if (!sound(ring, lsn, word, end, verify)) {
            extent->stop = LS_STOP_DAMAGED;
            break;
        }
        if ((uint32_t)word & LS_IN_FLIGHT) {
            extent->stop = LS_STOP_BLOCKED;
            extent->owner = (uint32_t)(word >> 32);
            break;
        }
        next = lsn + ls_span((uint64_t)(uint32_t)word - 1);
        if (verify && leaves_sliver(ring, next, end)) {
            extent->stop = LS_STOP_DAMAGED;
            break;
        }
        if (next - from > most && extent->to > from) {
            extent->stop = LS_STOP_LIMIT;
            break;
        }
        if (!(frame->flags & LS_MORE_OF_BATCH))
            extent->to = next;
        lsn = next;
    }
    extent->at = lsn;
}

/* Can the words of the region all be true?  As `complaint` in soundness.py, which also says what is
 * wrong: the workers ask before each step.
 * Order: from the lowest word to the highest, so that none is overtaken meanwhile. */
int ls_sound(const struct ls_ring *ring)
{
    const struct ls_region *region = ring->region;
    uint64_t revert = atomic_load_explicit(&region->newest_revert_lsn, memory_order_acquire);
    uint64_t start = atomic_load_explicit(&region->start, memory_order_acquire);
    uint64_t synced = atomic_load_explicit(&region->synced, memory_order_acquire);
    uint64_t written = atomic_load_explicit(&region->written, memory_order_acquire);
    uint64_t published = atomic_load_explicit(&region->published, memory_order_acquire);
    uint64_t head = atomic_load_explicit(&region->head, memory_order_acquire);

    return start <= synced && synced <= written && written <= published && published <= head &&
           head - written <= ring->capacity && (start | synced | written | head) % LS_ALIGNMENT == 0 &&
           revert < head;
}

void ls_advance_published(struct ls_ring *ring, uint64_t to)
{
    _Atomic uint64_t *published = &ring->region->published;
    uint64_t from = atomic_load_explicit(published, memory_order_relaxed);
    if (to <= from)
        return;
    atomic_store_explicit(published, to, memory_order_release);
    ls_wake_classes(published, from, to);
}

void ls_advance_written(struct ls_ring *ring, uint64_t to)
{
    struct ls_region *region = ring->region;
    uint64_t from = atomic_load_explicit(&region->written, memory_order_relaxed);
    uint32_t mode;

    /* Pairs with: has_room: the ring below `to` may be overwritten from now on. */
    atomic_store_explicit(&region->written, to, memory_order_release);
    LS_POINT("drain.written");
    ls_wake_classes(&region->written, from, to);
    /* Order: written before the syncer's mode.  Pairs with: the fence in ls_syncer_idle and the one in
     * ls_demand: either the waiter sees our watermark and wakes the syncer, or we see its request. */
    atomic_thread_fence(memory_order_seq_cst);
    mode = atomic_load_explicit(&region->syncer_mode, memory_order_relaxed);
    if (mode == LS_SLEEPING ||
        (mode == LS_NAPPING && atomic_load_explicit(&region->sync_request, memory_order_relaxed) >
                                   atomic_load_explicit(&region->synced, memory_order_relaxed)))
        ls_wake_worker(&region->syncer_mode);
}

void ls_advance_synced(struct ls_ring *ring, uint64_t to)
{
    struct ls_region *region = ring->region;
    uint64_t from = atomic_load_explicit(&region->synced, memory_order_relaxed);

    LS_POINT("sync.done"); /* Crash: durable but not told; intent stays, the successor syncs again. */
    atomic_store_explicit(&region->synced, to, memory_order_release);
    LS_POINT("sync.published");
    atomic_store_explicit(&region->sync_intent, 0, memory_order_release);
    ls_wake_classes(&region->synced, from, to);
}

void ls_histogram_add(_Atomic uint64_t *buckets, uint64_t value)
{
    unsigned bucket = value ? 63u - (unsigned)__builtin_clzll(value) : 0;
    if (bucket >= LS_BUCKETS)
        bucket = LS_BUCKETS - 1;
    atomic_fetch_add_explicit(&buckets[bucket], 1, memory_order_relaxed);
}

void ls_count_drain(struct ls_ring *ring, uint64_t bytes)
{
    struct ls_region *region = ring->region;
    atomic_fetch_add_explicit(&region->drains, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&region->drain_bytes, bytes, memory_order_relaxed);
    ls_histogram_add(region->drain_size, bytes);
}

void ls_count_sync(struct ls_ring *ring, uint64_t bytes, uint64_t elapsed_ns)
{
    struct ls_region *region = ring->region;
    uint64_t recent = atomic_load_explicit(&region->sync_recent_ns, memory_order_relaxed);
    recent += elapsed_ns / 8 - recent / 8;
    atomic_store_explicit(&region->sync_recent_ns, recent, memory_order_relaxed);
    atomic_fetch_add_explicit(&region->syncs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&region->sync_bytes, bytes, memory_order_relaxed);
    ls_histogram_add(region->sync_time, elapsed_ns);
}
