/* Writers: reserve under the guard, fill outside it, publish by one store.
 *
 * A frame's first 8 bytes are {size, crc}.  While it is being filled they hold the size with its top
 * bit set and, in place of the CRC, the owner's token; publishing replaces both by one release store.
 * So at any instant the committer sees either a frame with a known owner or a whole frame.
 */
#include <string.h>

#include "ring/ring.h"

uint64_t ls_header_size(void)
{
    return (sizeof(struct ls_region) + LS_HEADER_ALIGN - 1) & ~(uint64_t)(LS_HEADER_ALIGN - 1);
}

uint64_t ls_largest_span(const struct ls_ring *ring)
{
    return ring->capacity / 4;
}

uint32_t ls_token(uint32_t index, uint64_t generation)
{
    return (uint32_t)(generation & LS_GENERATION_MASK) << LS_INDEX_BITS | index;
}

static void add(_Atomic uint64_t *counter, uint64_t amount)
{
    /* Only one thread at a time is here (guard) for a given counter: no locked instruction. */
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, now + amount, memory_order_relaxed);
}

static int has_room(struct ls_ring *ring, uint64_t head, uint64_t span)
{
    uint64_t end = head + span;
    /* Unsigned: a head that is below `written` leaves more than the whole ring, and is refused too. */
    if (atomic_load_explicit(&ring->room_until, memory_order_relaxed) - end <= ring->capacity)
        return 1;
    /* Pairs with: the release in ls_advance_written; the committer is done reading below it. */
    uint64_t until =
        atomic_load_explicit(&ring->region->written, memory_order_acquire) + ring->capacity;
    atomic_store_explicit(&ring->room_until, until, memory_order_relaxed);
    return until - end <= ring->capacity;
}

/* Write the header of the frame at slot->lsn, all but its first word. */
static void write_header(struct ls_frame *frame, uint64_t lsn, uint64_t seq, uint16_t group,
                         uint8_t kind, uint8_t flags, uint64_t synced)
{
    frame->lsn = lsn;
    frame->seq = seq;
    frame->tail = ls_frame_tail(group, kind, flags, ls_frame_distance(lsn, synced));
}

static void count_append(struct ls_ring *ring, const struct ls_request *want)
{
    struct ls_client *self = ls_self(ring);
    add(&self->appends, want->records);
    add(&self->bytes, want->bytes);
    if (want->records > 1)
        add(&self->batches, 1);
}

static enum ls_status reserve_guarded(struct ls_ring *ring, const struct ls_request *want,
                                      struct ls_slot *slot)
{
    struct ls_region *region = ring->region;
    uint64_t state = atomic_load_explicit(&region->state, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&region->head, memory_order_relaxed);
    struct ls_group *group = &region->groups[want->group];
    uint64_t last_seq = atomic_load_explicit(&group->seq, memory_order_relaxed) + want->records;
    struct ls_frame *frame = ls_frame_at(ring, head);

    if (state != LS_STATE_RUNNING && state != LS_STATE_FULL)
        return LS_WRONG_STATE;
    if (want->unreverted_since && atomic_load_explicit(&region->newest_revert_lsn,
                                                       memory_order_relaxed) > want->unreverted_since)
        return LS_REVERTED;
    if (!has_room(ring, head, want->span))
        return LS_NO_ROOM;

    slot->lsn = head;
    slot->seq = want->records ? last_seq - want->records + 1 : 0;
    slot->synced = atomic_load_explicit(&region->synced, memory_order_relaxed);

    /* Order: `intent` equals `head` before anything else changes, so that a repairer believes the
     * other two words only once `head` has moved. */
    atomic_store_explicit(&region->intent, head, memory_order_release);
    LS_POINT("reserve.intent");
    atomic_store_explicit(&region->intent_group, want->group, memory_order_relaxed);
    atomic_store_explicit(&region->intent_seq, last_seq, memory_order_relaxed);
    atomic_store_explicit(ls_frame_atomic_word(frame),
                          ls_frame_word((uint32_t)(want->span - LS_FRAME_HEADER + 1) | LS_IN_FLIGHT, ring->me),
                          memory_order_relaxed);
    write_header(frame, head, slot->seq, want->group, want->kind, 0, slot->synced);
    if (want->kind == LS_CHECKPOINT) /* Crash: at `head` no checkpoint lies, or whatever comes next. */
        atomic_store_explicit(&region->newest_checkpoint_lsn, head, memory_order_release);
    LS_POINT("reserve.header"); /* Crash: head == intent, nothing was reserved. */
    /* This one store is the reservation.  Pairs with: the acquire of head in ls_walk. */
    atomic_store_explicit(&region->head, head + want->span, memory_order_release);
    LS_POINT("reserve.head"); /* Crash: reserved; the repairer redoes the seq. */
    atomic_store_explicit(&group->seq, last_seq, memory_order_relaxed);
    count_append(ring, want);
    return LS_OK;
}

enum ls_status ls_reserve(struct ls_ring *ring, const struct ls_request *want, struct ls_slot *slot)
{
    enum ls_status status;
    if (want->span > ls_largest_span(ring))
        return LS_TOO_LARGE;
    status = ls_guard_try(ring);
    if (status != LS_OK)
        return status;
    status = reserve_guarded(ring, want, slot);
    ls_guard_release(ring);
    return status;
}

/* As ls_reserve, but sleeps for the guard and for room until `deadline_ns`. */
enum ls_status ls_reserve_until(struct ls_ring *ring, const struct ls_request *want,
                                struct ls_slot *slot, uint64_t deadline_ns)
{
    for (;;) {
        enum ls_status status = ls_guard_until(ring, deadline_ns);
        if (status != LS_OK)
            return status;
        status = reserve_guarded(ring, want, slot);
        ls_guard_release(ring);
        if (status != LS_NO_ROOM)
            return status;
        status = ls_wait_room(ring, want->span, deadline_ns);
        if (status == LS_TIMED_OUT)
            return LS_NO_ROOM;
        if (status != LS_OK)
            return status;
    }
}

void *ls_payload(const struct ls_ring *ring, uint64_t lsn)
{
    return (uint8_t *)ls_frame_at(ring, lsn) + LS_FRAME_HEADER;
}

static void clear_padding(uint8_t *payload, uint64_t length)
{
    uint64_t padding = ls_span(length) - LS_FRAME_HEADER - length;
    if (padding != 0)
        memset(payload + length, 0, padding);
}

/* Checksum the frame and make it visible by one store: what was in flight is now published. */
static void seal_word(struct ls_ring *ring, struct ls_frame *frame, uint32_t size)
{
    uint32_t crc = ls_frame_crc(frame, frame + 1, size - 1, ring->salt);
    LS_POINT("publish.word"); /* Crash: still in flight, with its owner; the committer aborts it. */
    /* Pairs with: the acquire in ls_walk. */
    atomic_store_explicit(ls_frame_atomic_word(frame), ls_frame_word(size, crc), memory_order_release);
    LS_POINT("publish.published"); /* Crash: published; a committer that naps finds it in time. */
}

/* Tell the committer, if it sleeps until there is work. */
static void ring_bell(struct ls_ring *ring)
{
    /* Order: the published word before the mode, or both sides could miss each other.
     * Pairs with: the fence in ls_committer_idle. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&ring->region->committer_mode, memory_order_relaxed) == LS_SLEEPING)
        ls_wake_worker(&ring->region->committer_mode);
}

static uint32_t in_flight_size(struct ls_frame *frame)
{
    uint64_t word = atomic_load_explicit(ls_frame_atomic_word(frame), memory_order_relaxed);
    return (uint32_t)word & ~LS_IN_FLIGHT;
}

void ls_fill(struct ls_ring *ring, const struct ls_slot *slot, const void *payload, uint64_t length)
{
    struct ls_frame *frame = ls_frame_at(ring, slot->lsn);
    uint8_t *target = ls_payload(ring, slot->lsn);

    LS_POINT("fill.begin"); /* Crash: in flight, with its owner; the committer aborts it. */
    clear_padding(target, length);
    memcpy(target, payload, length);
    LS_POINT("fill.copied");
    seal_word(ring, frame, (uint32_t)length + 1);
    ring_bell(ring);
}

/* As ls_fill, for a part of a transaction: its payload begins with the transaction's id, which is the
 * LSN of the first part: 0 says that this is the first. */
void ls_fill_part(struct ls_ring *ring, const struct ls_slot *slot, uint64_t transaction,
                  const void *payload, uint64_t length)
{
    uint8_t *target = ls_payload(ring, slot->lsn);
    uint64_t id = transaction ? transaction : slot->lsn;

    LS_POINT("fill.begin");
    clear_padding(target, sizeof id + length);
    memcpy(target, &id, sizeof id);
    memcpy(target + sizeof id, payload, length);
    LS_POINT("fill.copied");
    seal_word(ring, ls_frame_at(ring, slot->lsn), (uint32_t)(sizeof id + length) + 1);
    ring_bell(ring);
}

/* Append a revert frame and publish it before the guard is given back.
 *
 * So whoever reserves later sees the words below, and knows whether it comes before or after the
 * revert.  Refused if there is a revert behind `known`, which the payload then knows nothing of: one
 * whose author died may come to light only as the guard is repaired.
 * Invariant: newest_revert_lsn is a published revert frame; see ls_guard_repair. */
enum ls_status ls_revert(struct ls_ring *ring, const void *payload, uint64_t length, uint64_t known,
                         struct ls_slot *slot, uint64_t deadline_ns)
{
    struct ls_region *region = ring->region;
    struct ls_request want = {
        .span = ls_span(length), .kind = LS_REVERT, .unreverted_since = known ? known : 1};
    enum ls_status status;

    if (want.span > ls_largest_span(ring))
        return LS_TOO_LARGE;
    status = ls_guard_until(ring, deadline_ns);
    if (status != LS_OK)
        return status;
    status = reserve_guarded(ring, &want, slot);
    if (status == LS_OK) {
        ls_fill(ring, slot, payload, length);
        LS_POINT("revert.published"); /* Crash: the repairer stores the two words. */
        atomic_store_explicit(&region->newest_revert_lsn, slot->lsn, memory_order_release);
        add(&region->revert_count, 1);
    }
    ls_guard_release(ring);
    if (status == LS_NO_ROOM)
        ls_wait_room(ring, want.span, deadline_ns); /* the caller looks around and tries again */
    return status;
}

/* Lay out the frames of a batch in the span reserved for it.  All but the first are complete before
 * the first one's word is stored: that store publishes the batch as a whole. */
void ls_fill_batch(struct ls_ring *ring, const struct ls_slot *slot, const struct ls_part *parts,
                   size_t count, uint16_t group, uint8_t kind)
{
    uint64_t lsn = slot->lsn;

    LS_POINT("fill.begin");
    for (size_t i = 0; i < count; i++) {
        struct ls_frame *frame = ls_frame_at(ring, lsn);
        uint8_t *target = ls_payload(ring, lsn);
        uint8_t flags = i + 1 < count ? LS_MORE_OF_BATCH : 0;

        /* The first header has been there since the reservation, and the committer looks at its LSN: it
         * is not written again, not even with what is there. */
        if (i > 0)
            write_header(frame, lsn, slot->seq + i, group, kind, flags, slot->synced);
        frame->flags = flags;
        clear_padding(target, parts[i].length);
        memcpy(target, parts[i].payload, parts[i].length);
        if (i > 0)
            seal_word(ring, frame, (uint32_t)parts[i].length + 1);
        lsn += ls_span(parts[i].length);
    }
    LS_POINT("fill.copied");
    seal_word(ring, ls_frame_at(ring, slot->lsn), (uint32_t)parts[0].length + 1);
    ring_bell(ring);
}

/* Publish a frame that its owner filled in place with `length` bytes, the length reserved for. */
void ls_publish(struct ls_ring *ring, uint64_t lsn, uint64_t length)
{
    clear_padding(ls_payload(ring, lsn), length);
    seal_word(ring, ls_frame_at(ring, lsn), (uint32_t)length + 1);
    ring_bell(ring);
}

/* Turn an in-flight frame into an abort frame: by its owner, or for a dead one by ls_abort_dead.
 * Crash: its first word is stored last, so a killed committer's successor does it again. */
void ls_abort(struct ls_ring *ring, uint64_t lsn)
{
    struct ls_frame *frame = ls_frame_at(ring, lsn);
    uint32_t size = in_flight_size(frame);

    memset(frame + 1, 0, ls_span(size - 1) - LS_FRAME_HEADER);
    frame->kind = LS_ABORT;
    frame->flags = 0;
    LS_POINT("abort.zeroed");
    seal_word(ring, frame, size);
    ring_bell(ring);
}

/* Abort the frame at `lsn` that the walk found in flight, after its owner was found dead.  Returns 0 if
 * the owner published it before he died, between the two looks: acknowledged, so it stays. */
int ls_abort_dead(struct ls_ring *ring, uint64_t lsn, uint32_t owner)
{
    /* Pairs with: the release in seal_word.  Whoever is dead changes it no more: one look is enough. */
    uint64_t word =
        atomic_load_explicit(ls_frame_atomic_word(ls_frame_at(ring, lsn)), memory_order_acquire);
    if (!((uint32_t)word & LS_IN_FLIGHT) || (uint32_t)(word >> 32) != owner)
        return 0;
    ls_abort(ring, lsn);
    return 1;
}

/* Overwrite [lsn, lsn + span) with one abort frame, whatever it holds: only for bytes that a writer left
 * damaged, and only by the one process that drains. */
void ls_discard(struct ls_ring *ring, uint64_t lsn, uint64_t span)
{
    struct ls_frame *frame = ls_frame_at(ring, lsn);

    if (span < LS_FRAME_HEADER || span > ring->capacity || span % LS_ALIGNMENT != 0)
        return; /* no frame has that span */
    write_header(frame, lsn, 0, 0, LS_ABORT, 0, 0);
    frame->distance = LS_NO_CLAIM;
    atomic_store_explicit(ls_frame_atomic_word(frame),
                          ls_frame_word((uint32_t)(span - LS_FRAME_HEADER + 1) | LS_IN_FLIGHT, ring->me),
                          memory_order_relaxed);
    ls_abort(ring, lsn);
}
