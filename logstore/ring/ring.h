/* The shared region: its layout, and the operations on it.
 *
 * One POSIX shared-memory object holds a header (identity, watermarks, group table, client table)
 * and the ring, a power of two of bytes that each process maps twice back to back, so that a frame
 * is contiguous wherever it lies.  The frame at `lsn` lives at ring[lsn & (capacity - 1)].
 *
 * Nothing here knows Python, allocates memory or takes a lock of its own, so that a pthread program
 * can link it under ThreadSanitizer.
 *
 * Invariant: start <= synced <= written <= published <= head, and head - written <= capacity.
 *
 * Who writes what (every other process only reads):
 *   the creator            identity, before `magic`, which it stores last
 *   the guard's owner      head, intent, group seq, the header of the frame it reserves; reverts
 *   the frame's owner      its payload, then one 8-byte store of {size, crc}: the publish
 *   the committer          published, written, segment slots, its counters; dead owners' frames
 *   the syncer             synced, sync_intent, segments_synced, its counters
 *   the supervisor         state (workers may move it to FULL and FAILED)
 *   each client            its own entry, at its own index; sync_request as a maximum
 */
#ifndef LOGSTORE_RING_H
#define LOGSTORE_RING_H

#include <semaphore.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "frames/frame.h"

#define LS_MAGIC UINT64_C(0x474e495253474f4c) /* "LOGSRING" */
#define LS_LAYOUT_VERSION 2u
#define LS_CLIENTS 1024u
#define LS_COMMITTER 1u /* its entry in the client table */
#define LS_GROUPS 1024u
#define LS_BUCKETS 48u
#define LS_SEGMENT_SLOTS 64u
#define LS_TRANSACTIONS 4096u
#define LS_EXTENT UINT64_C(1048576) /* writers that wait for room go on after each, so not too much */
#define LS_EAGER_NS UINT64_C(500000000) /* how long one follower's wait keeps naps away */
#define LS_NAP_NS UINT64_C(1000000) /* the committer's nap while records flow and nobody waits */
#define LS_QUICK_SYNC_NS UINT64_C(250000) /* a disk this quick is worth a vigil */
#define LS_HEADER_ALIGN 65536u /* a multiple of every page size we run on */
#define LS_LINE 128            /* two cache lines: the neighbour is prefetched */

#define LS_INDEX_BITS 10u
#define LS_GENERATION_MASK UINT32_C(0x3fffff)

enum ls_state {
    LS_STATE_STARTING = 0,
    LS_STATE_RUNNING = 1,
    LS_STATE_DRAINING = 2,
    LS_STATE_FULL = 3,
    LS_STATE_FAILED = 4,
    LS_STATE_CLOSED = 5,
};

/* What a worker does while it has nothing to do. */
enum ls_mode {
    LS_AWAKE = 0,    /* it looks again before it sleeps */
    LS_NAPPING = 1,  /* it has a timer: only demand for durability or room wakes it */
    LS_SLEEPING = 2, /* the next piece of work wakes it */
};

enum ls_status {
    LS_OK = 0,
    LS_BUSY = 1,        /* the guard is held by somebody */
    LS_NO_ROOM = 2,     /* the ring is full */
    LS_WRONG_STATE = 3, /* the log does not take appends, or the wait can never end */
    LS_TIMED_OUT = 4,
    LS_INTERRUPTED = 5, /* a signal arrived: run its handler, then call again */
    LS_TOO_LARGE = 6,
    LS_REVERTED = 7, /* a revert came after `unreverted_since` */
};

struct ls_identity {
    _Atomic uint64_t magic;
    uint32_t layout_version;
    uint32_t header_size;
    uint8_t uuid[16];
    uint8_t boot_id[16];
    uint64_t epoch;
    uint64_t salt;
    uint64_t ring_size;
    uint64_t segment_size;
    uint64_t sync_interval_ns;
    uint64_t created_ns;
    uint64_t mode; /* permissions of everything the service creates */
    char name[64];
    char directory[3072];
};

struct ls_group {
    _Atomic uint64_t seq;              /* newest seq given out; under the guard */
    _Atomic uint64_t written_seq;
    _Atomic uint64_t synced_seq;
    _Atomic uint64_t checkpointed_seq;
    _Atomic uint64_t oldest_needed_lsn;
    _Atomic uint64_t visible_lsn; /* an engine has applied everything below */
    uint64_t spare[2];
    char name[64];
};

struct ls_client {
    _Atomic uint64_t generation; /* grows each time the entry is taken */
    _Atomic uint64_t pid;
    _Atomic uint64_t start_ticks; /* with the pid, names the process beyond doubt */
    _Atomic uint64_t attached_ns;
    _Atomic uint64_t appends; /* records, over all generations of this entry */
    _Atomic uint64_t bytes;
    _Atomic uint64_t batches;
    _Atomic uint64_t stalls; /* appends that had to wait for the guard or for room */
    _Atomic uint64_t pinned_lsn;
    uint64_t spare[15];
    char command[64];
    _Atomic uint64_t append_stall[LS_BUCKETS]; /* log2 of nanoseconds */
    _Atomic uint64_t durable_wait[LS_BUCKETS];
};

/* One open transaction.  Its owner claims the entry before it appends the first part, so that a dead
 * owner's transaction can be told from a living one's. */
struct ls_transaction {
    _Atomic uint64_t owner;     /* 0, or the token of the client */
    _Atomic uint64_t first_lsn; /* its first part, or a lower LSN until that is known */
};

struct ls_region {
    struct ls_identity identity;

    alignas(4096) _Atomic uint64_t owner; /* the guard: 0, or the token of who is inside */

    alignas(LS_LINE) _Atomic uint64_t head; /* next LSN to reserve */
    _Atomic uint64_t intent;                /* head as the owner found it */
    _Atomic uint64_t intent_group;          /* with intent_seq: what a repair redoes */
    _Atomic uint64_t intent_seq;

    alignas(LS_LINE) _Atomic uint64_t published;
    alignas(LS_LINE) _Atomic uint64_t written; /* also the futex of who waits for room */
    alignas(LS_LINE) _Atomic uint64_t synced;  /* also the futex of who waits for the disk */
    alignas(LS_LINE) _Atomic uint64_t sync_intent;  /* not 0: a sync up to here is under way */
    alignas(LS_LINE) _Atomic uint64_t sync_request; /* somebody waits until synced reaches this */

    alignas(LS_LINE) _Atomic uint32_t committer_mode;
    alignas(LS_LINE) _Atomic uint32_t syncer_mode;
    alignas(LS_LINE) _Atomic uint64_t eager_until_ns; /* followers want every record at once */
    alignas(LS_LINE) _Atomic uint32_t attach_count;   /* futex: the supervisor's doorbell */

    alignas(LS_LINE) _Atomic uint64_t state;
    _Atomic uint64_t failure_errno;
    char failure_stage[32];
    char failure_path[512];

    alignas(LS_LINE) _Atomic uint64_t start; /* oldest LSN still there */
    _Atomic uint64_t checkpointed;
    _Atomic uint64_t revert_count;
    _Atomic uint64_t newest_revert_lsn;
    _Atomic uint64_t newest_checkpoint_lsn; /* where one was reserved last, or nearly was */
    _Atomic uint64_t group_count;

    alignas(LS_LINE) _Atomic uint64_t segment_count; /* segments begun since this region exists */
    _Atomic uint64_t segment_base[LS_SEGMENT_SLOTS]; /* base LSN of number n at n % slots */
    alignas(LS_LINE) _Atomic uint64_t segments_synced; /* the syncer is done with those below */

    alignas(LS_LINE) _Atomic uint64_t drains;
    _Atomic uint64_t drain_bytes;
    _Atomic uint64_t aborts;
    _Atomic uint64_t rotations;
    _Atomic uint64_t blocked_lsn;      /* the frame in flight that all else waits for; 0 = none */
    _Atomic uint64_t blocked_owner;    /* its owner's token */
    _Atomic uint64_t blocked_ns;       /* for how long, as the committer found at its last look */
    _Atomic uint64_t drain_size[LS_BUCKETS]; /* log2 of bytes */
    _Atomic uint64_t log_time_ns; /* newest time of day that the committer has said: only grows */

    alignas(LS_LINE) _Atomic uint64_t syncs;
    _Atomic uint64_t sync_bytes;
    _Atomic uint64_t sync_time[LS_BUCKETS]; /* log2 of nanoseconds */
    _Atomic uint64_t sync_recent_ns;        /* a moving average */

    alignas(LS_LINE) _Atomic uint64_t compact_request; /* clients count up: compact now */
    _Atomic uint64_t compact_done;                     /* the committer answers; of its requests */
    _Atomic uint64_t compact_bytes;                    /* dropped so far */
    _Atomic uint64_t retain_bytes; /* from the options; 0 = no limit */
    _Atomic uint64_t retain_age_ns;
    _Atomic uint64_t dropped_below; /* a frame below may be gone, though it lies in the ring still */
    alignas(LS_LINE) _Atomic uint64_t repairs;
    _Atomic uint64_t committer_restarts;
    _Atomic uint64_t syncer_restarts;
    _Atomic uint64_t held_lsn;   /* head, while somebody living stays in the guard; 0 = nobody does */
    _Atomic uint64_t held_owner; /* his token */
    _Atomic uint64_t held_ns;    /* for how long, as the supervisor found at its last look */
    _Atomic uint64_t late_lsn;   /* where the syncer or the committer stands, and should not; 0 = both get on */
    _Atomic uint64_t late_owner; /* its token */
    _Atomic uint64_t late_ns;    /* for how long, likewise */

    alignas(4096) struct ls_group groups[LS_GROUPS];
    alignas(4096) struct ls_client clients[LS_CLIENTS];
    alignas(4096) struct ls_transaction transactions[LS_TRANSACTIONS];
};

_Static_assert(sizeof(struct ls_identity) <= 4096, "identity fits one page");
_Static_assert(sizeof(struct ls_group) == 128, "group entry");
_Static_assert(sizeof(struct ls_client) == 1024, "client entry");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics must be lock-free across processes");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "32-bit atomics must be lock-free across processes");

/* One process's view of a region.  Threads may share it. */
struct ls_ring {
    struct ls_region *region;
    uint8_t *bytes; /* the ring, mapped twice: 2 * capacity bytes */
    uint64_t capacity;
    sem_t *semaphore;       /* NULL in a read-only attachment */
    uint32_t me;            /* my token: generation and client index; 0 = not a client */
    uint32_t salt;
    _Atomic uint64_t room_until; /* head may grow to here without looking at `written` again */
    uint64_t filled;        /* the committer's: its file has zeros or frames up to here, not just a reservation */
};

/* What a writer wants room for: one frame, or a batch of frames. */
struct ls_request {
    uint64_t span;    /* bytes in the ring, a multiple of 8 */
    uint64_t bytes;   /* payload bytes, for the counters */
    uint64_t unreverted_since; /* refuse if a revert frame lies behind this LSN; 0 = do not look */
    uint32_t records;          /* seqs to take: 0 for frames without one */
    uint16_t group;
    uint8_t kind;
};

/* A reservation: where the frame lies and what its header says. */
struct ls_slot {
    uint64_t lsn;
    uint64_t seq;    /* of the first record; 0 if it has none */
    uint64_t synced; /* watermark at reservation */
};

struct ls_part {
    const void *payload;
    uint64_t length;
};

/* ring.c */
uint64_t ls_header_size(void);
uint64_t ls_largest_span(const struct ls_ring *ring);
uint32_t ls_token(uint32_t index, uint64_t generation);
enum ls_status ls_reserve(struct ls_ring *ring, const struct ls_request *want, struct ls_slot *slot);
enum ls_status ls_reserve_until(struct ls_ring *ring, const struct ls_request *want,
                                struct ls_slot *slot, uint64_t deadline_ns);
void ls_fill(struct ls_ring *ring, const struct ls_slot *slot, const void *payload, uint64_t length);
void ls_fill_part(struct ls_ring *ring, const struct ls_slot *slot, uint64_t transaction,
                  const void *payload, uint64_t length);
enum ls_status ls_revert(struct ls_ring *ring, const void *payload, uint64_t length, uint64_t known,
                         struct ls_slot *slot, uint64_t deadline_ns);
void ls_fill_batch(struct ls_ring *ring, const struct ls_slot *slot, const struct ls_part *parts,
                   size_t count, uint16_t group, uint8_t kind);
void ls_publish(struct ls_ring *ring, uint64_t lsn, uint64_t length);
void ls_abort(struct ls_ring *ring, uint64_t lsn);
int ls_abort_dead(struct ls_ring *ring, uint64_t lsn, uint32_t owner);
void ls_discard(struct ls_ring *ring, uint64_t lsn, uint64_t span);
void *ls_payload(const struct ls_ring *ring, uint64_t lsn);

/* drain.c */
enum ls_stop { LS_STOP_DRY, LS_STOP_BLOCKED, LS_STOP_LIMIT, LS_STOP_DAMAGED };
struct ls_extent {
    uint64_t from, to; /* whole published frames and whole batches: [from, to) */
    uint64_t at;       /* the frame that stopped the walk */
    uint32_t owner;    /* its owner, when BLOCKED */
    enum ls_stop stop;
};
void ls_walk(const struct ls_ring *ring, uint64_t from, uint64_t most, int verify,
             struct ls_extent *extent);
int ls_sound(const struct ls_ring *ring);
uint64_t ls_next_boundary(const struct ls_ring *ring, uint64_t lsn, uint64_t end);
void ls_advance_published(struct ls_ring *ring, uint64_t to);
void ls_advance_written(struct ls_ring *ring, uint64_t to);
void ls_advance_synced(struct ls_ring *ring, uint64_t to);
void ls_count_drain(struct ls_ring *ring, uint64_t bytes);
void ls_count_sync(struct ls_ring *ring, uint64_t bytes, uint64_t elapsed_ns);
void ls_histogram_add(_Atomic uint64_t *buckets, uint64_t value);

/* guard.c */
enum ls_status ls_guard_try(struct ls_ring *ring);
enum ls_status ls_guard_until(struct ls_ring *ring, uint64_t deadline_ns);
void ls_guard_release(struct ls_ring *ring);
int ls_guard_repair(struct ls_ring *ring, uint32_t dead);
void ls_guard_post(struct ls_ring *ring);
enum ls_status ls_set_state_guarded(struct ls_ring *ring, enum ls_state state, uint64_t deadline_ns);

/* waiting.c */
enum ls_level { LS_LEVEL_RING = 0, LS_LEVEL_WRITTEN = 1, LS_LEVEL_SYNCED = 2 };
uint64_t ls_now_ns(void);
enum ls_status ls_wait(struct ls_ring *ring, enum ls_level level, uint64_t lsn, uint64_t deadline_ns);
enum ls_status ls_wait_room(struct ls_ring *ring, uint64_t span, uint64_t deadline_ns);
enum ls_status ls_wait_change(_Atomic uint32_t *word, uint32_t seen, uint64_t deadline_ns);
void ls_knock(struct ls_ring *ring);
void ls_demand(struct ls_ring *ring, enum ls_level level, uint64_t lsn);
void ls_wake_worker(_Atomic uint32_t *mode);
void ls_wake_classes(_Atomic uint64_t *watermark, uint64_t from, uint64_t to);
void ls_change_state(struct ls_ring *ring, enum ls_state state);
void ls_set_state(struct ls_ring *ring, enum ls_state state);

/* idling.c */
struct ls_file { /* what a worker may write itself; fd -1: nothing */
    int fd;
    uint64_t origin; /* the LSN at offset 0 */
    uint64_t end;    /* no frame reaches beyond this LSN */
};
int ls_keep_writing(struct ls_ring *ring, const struct ls_file *file, uint64_t *blocked_lsn, uint64_t state);
int ls_keep_syncing(struct ls_ring *ring, int fd, uint64_t segments, uint64_t state);
enum ls_status ls_committer_idle(struct ls_ring *ring, const struct ls_file *file, enum ls_mode mode,
                                 uint64_t blocked_lsn, uint64_t state, uint64_t deadline_ns);
int ls_syncer_idle(struct ls_ring *ring, int fd, uint64_t segments, enum ls_mode mode, uint64_t state,
                   uint64_t deadline_ns);

static inline struct ls_client *ls_self(const struct ls_ring *ring)
{
    return &ring->region->clients[ring->me & (LS_CLIENTS - 1)];
}

static inline int ls_disk_is_quick(const struct ls_region *region)
{
    return atomic_load_explicit(&region->sync_recent_ns, memory_order_relaxed) <= LS_QUICK_SYNC_NS;
}

static inline _Atomic uint64_t *ls_watermark(const struct ls_ring *ring, enum ls_level level)
{
    if (level == LS_LEVEL_SYNCED)
        return &ring->region->synced;
    return level == LS_LEVEL_WRITTEN ? &ring->region->written : &ring->region->published;
}

static inline int ls_passed(const struct ls_ring *ring, enum ls_level level, uint64_t lsn)
{
    return atomic_load_explicit(ls_watermark(ring, level), memory_order_acquire) > lsn;
}

static inline struct ls_frame *ls_frame_at(const struct ls_ring *ring, uint64_t lsn)
{
    return (struct ls_frame *)(void *)(ring->bytes + (lsn & (ring->capacity - 1)));
}

/* Named places where a test build dies on request; nothing in a released build. */
#ifdef LOGSTORE_FAIL_POINTS
void ls_point(const char *name);
#define LS_POINT(name) ls_point(name)
#else
#define LS_POINT(name) ((void)0)
#endif

#endif
