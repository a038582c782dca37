/* Stress the ring with threads, without Python: `ring_stress [-s seed] [-w writers] [-n records]
 * [-r ring bytes] [-t waiters]`.
 *
 * Each writer thread has an attachment of its own, as a process would. It appends single records and
 * batches, fills reservations in place, aborts some, and dies now and then: with a frame in flight,
 * with the guard, or with a token of the semaphore. One thread drains, one syncs, one repairs after
 * the dead, some wait for watermarks. The drainer checks every frame that goes by: its checksum, its
 * bytes, its seq, and that no writer's record is missing, doubled or out of order. The ring is small,
 * so that it wraps and fills all the time.
 *
 * Exit code 0: all of it held. Built by tools/sanitize.py under ThreadSanitizer, AddressSanitizer and
 * UndefinedBehaviorSanitizer. Two things ThreadSanitizer does not see. It takes the ring's two
 * mappings for different memory, so races on bytes beyond the ring's end escape it. And it executes
 * atomic_thread_fence without learning an order from it; the ring's fences order a store before a
 * later load (who sleeps and who wakes) and publish nothing, so this can raise no false alarm, and a
 * missing fence shows, if at all, as a wait that takes too long.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "frames/crc32c.h"
#include "ring/ring.h"

#define FIRST_LSN UINT64_C(4096)
#define SALT 0x5a17u
#define FIRST_CLIENT 8u /* the entries below are roles */
#define MOST_WRITERS 64u
#define GROUPS 3u
#define MOST_IN_BATCH 12u
#define SLICE UINT64_C(50000000)
#define PATIENCE UINT64_C(60000000000) /* no wait takes this long, even under a sanitizer */

struct tally {
    _Atomic uint64_t records, bytes, aborted;
};

static struct {
    struct ls_region *region;
    uint8_t *bytes;
    sem_t semaphore;
    uint64_t seed, records, capacity;
    unsigned writers, waiters;
    _Atomic uint32_t token[MOST_WRITERS]; /* whose current owner lives; all others are dead */
    _Atomic int busy_writers;             /* who may still append */
    _Atomic int stop;
    struct tally issued, seen;
    uint64_t next_number[MOST_WRITERS]; /* what the drainer expects of each writer */
    uint64_t next_seq[GROUPS];
    uint64_t repaired;
    int file;               /* where vigils write */
    const uint8_t *written; /* and its bytes */
    uint64_t on_vigils;     /* bytes written there */
    _Atomic uint64_t waits;
} run;

static void fail(const char *what, uint64_t lsn)
{
    fprintf(stderr, "ring_stress: %s, at LSN %llu (seed %llu)\n", what, (unsigned long long)lsn,
            (unsigned long long)run.seed);
    exit(1);
}

static uint64_t chance(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = (*state ^ *state >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

static uint64_t below(uint64_t *state, uint64_t limit)
{
    return chance(state) % limit;
}

static struct ls_ring attachment(uint32_t index, uint64_t generation)
{
    return (struct ls_ring){.region = run.region, .bytes = run.bytes, .capacity = run.capacity,
                            .semaphore = &run.semaphore, .me = ls_token(index, generation),
                            .salt = SALT};
}

/* Records. The payload says who wrote it and which of its records it is; the rest follows from both. */

struct claim {
    uint64_t number;
    uint32_t writer, length;
};

static void compose(uint8_t *payload, uint32_t writer, uint64_t number, uint32_t length)
{
    struct claim claim = {number, writer, length};
    memcpy(payload, &claim, sizeof claim);
    for (uint32_t i = sizeof claim; i < length; i++)
        payload[i] = (uint8_t)(number * 31 + writer * 7 + i);
}

static void check_record(const struct ls_frame *frame, uint64_t lsn)
{
    const uint8_t *payload = (const uint8_t *)(frame + 1);
    uint32_t length = frame->size - 1;
    struct claim claim;

    if (length < sizeof claim)
        fail("a record that nobody wrote", lsn);
    memcpy(&claim, payload, sizeof claim);
    if (claim.writer >= run.writers || claim.length != length)
        fail("a record's head is not what was written", lsn);
    if (claim.number != run.next_number[claim.writer])
        fail("a writer's record is missing, doubled or out of order", lsn);
    for (uint32_t i = sizeof claim; i < length; i++)
        if (payload[i] != (uint8_t)(claim.number * 31 + claim.writer * 7 + i))
            fail("a record's bytes are not what was written", lsn);
    run.next_number[claim.writer]++;
    atomic_fetch_add(&run.seen.records, 1);
    atomic_fetch_add(&run.seen.bytes, length);
}

/* Writers. */

struct writer {
    struct ls_ring ring;
    pthread_t thread;
    uint64_t dice, number, generation;
    uint32_t index;
    uint8_t *scratch;
};

static uint32_t draw_length(struct writer *me)
{
    uint64_t most = run.capacity / 4 - LS_FRAME_HEADER;
    uint64_t roll = below(&me->dice, 100);
    uint64_t most_now = roll < 90 ? 200 : roll < 99 ? 2000 : most;
    if (most_now > most)
        most_now = most;
    return (uint32_t)(sizeof(struct claim) + below(&me->dice, most_now - sizeof(struct claim) + 1));
}

static void reserve(struct writer *me, const struct ls_request *want, struct ls_slot *slot)
{
    uint64_t deadline = ls_now_ns() + PATIENCE;
    enum ls_status status = ls_reserve(&me->ring, want, slot);
    while (status != LS_OK) {
        if (ls_now_ns() > deadline || (status != LS_BUSY && status != LS_NO_ROOM &&
                                       status != LS_TIMED_OUT && status != LS_INTERRUPTED))
            fail("no reservation to be had", atomic_load(&run.region->head));
        status = ls_reserve_until(&me->ring, want, slot, ls_now_ns() + SLICE);
    }
    if (slot->seq == 0 || slot->lsn % 8 != 0)
        fail("a reservation makes no sense", slot->lsn);
}

static void await(struct ls_ring *ring, enum ls_level level, uint64_t lsn)
{
    uint64_t deadline = ls_now_ns() + PATIENCE;
    enum ls_status status;
    do {
        ls_demand(ring, level, lsn);
        status = ls_wait(ring, level, lsn, ls_now_ns() + SLICE);
        if (ls_now_ns() > deadline)
            fail("a wait does not end", lsn);
    } while (status != LS_OK);
    if (!ls_passed(ring, level, lsn))
        fail("a wait ended before its watermark had passed", lsn);
}

static void count(uint64_t records, uint64_t bytes)
{
    atomic_fetch_add(&run.issued.records, records);
    atomic_fetch_add(&run.issued.bytes, bytes);
}

static struct ls_slot append_one(struct writer *me, uint32_t length, int in_place)
{
    struct ls_request want = {.span = ls_span(length), .bytes = length, .records = 1,
                              .group = (uint16_t)(me->index % GROUPS), .kind = LS_DATA};
    struct ls_slot slot;

    reserve(me, &want, &slot);
    if (in_place) {
        compose(ls_payload(&me->ring, slot.lsn), me->index, me->number++, length);
        ls_publish(&me->ring, slot.lsn, length);
    } else {
        compose(me->scratch, me->index, me->number++, length);
        ls_fill(&me->ring, &slot, me->scratch, length);
    }
    count(1, length);
    return slot;
}

static struct ls_slot append_batch(struct writer *me)
{
    struct ls_part parts[MOST_IN_BATCH];
    size_t members = 1 + below(&me->dice, MOST_IN_BATCH);
    struct ls_request want = {.records = (uint32_t)members, .kind = LS_DATA,
                              .group = (uint16_t)(me->index % GROUPS)};
    struct ls_slot slot;
    uint8_t *at = me->scratch;

    for (size_t i = 0; i < members; i++) {
        uint32_t length = (uint32_t)(sizeof(struct claim) + below(&me->dice, 40));
        compose(at, me->index, me->number++, length);
        parts[i] = (struct ls_part){at, length};
        want.span += ls_span(length);
        want.bytes += length;
        at += length;
    }
    reserve(me, &want, &slot);
    ls_fill_batch(&me->ring, &slot, parts, members, want.group, want.kind);
    count(members, want.bytes);
    return slot;
}

/* Reserve and give up; with `dying`, only the death of the owner says so. */
static struct ls_slot abandon(struct writer *me, int dying)
{
    uint32_t length = draw_length(me);
    struct ls_request want = {.span = ls_span(length), .bytes = length, .records = 1,
                              .group = (uint16_t)(me->index % GROUPS), .kind = LS_DATA};
    struct ls_slot slot;

    reserve(me, &want, &slot);
    memset(ls_payload(&me->ring, slot.lsn), 0xee, length / 2);
    if (!dying)
        ls_abort(&me->ring, slot.lsn);
    atomic_fetch_add(&run.issued.aborted, 1);
    return slot;
}

/* Die somewhere unpleasant, and come back as the next generation of the same entry. */
static void die(struct writer *me)
{
    switch (below(&me->dice, 3)) {
    case 0:
        abandon(me, 1);
        break;
    case 1:
        while (ls_guard_until(&me->ring, ls_now_ns() + SLICE) != LS_OK)
            ;
        break;
    default:
        sem_trywait(&run.semaphore);
    }
    me->ring = attachment(FIRST_CLIENT + me->index, ++me->generation);
    atomic_store_explicit(&run.token[me->index], me->ring.me, memory_order_release);
    ls_knock(&me->ring);
}

static void *write_records(void *argument)
{
    struct writer *me = argument;

    while (me->number < run.records) {
        uint64_t roll = below(&me->dice, 1000);
        struct ls_slot slot;
        if (roll < 2) {
            die(me);
            continue;
        }
        if (roll % 16 == 0)
            sem_post(&run.semaphore); /* as a repair may: the owner word has to keep writers apart */
        if (roll < 20)
            slot = abandon(me, 0);
        else if (roll < 200)
            slot = append_batch(me);
        else
            slot = append_one(me, draw_length(me), roll < 400);
        if (below(&me->dice, 200) == 0)
            await(&me->ring, (enum ls_level)below(&me->dice, 3), slot.lsn);
    }
    atomic_fetch_sub(&run.busy_writers, 1);
    return NULL;
}

/* The committer's part. */

static int alive(uint32_t owner)
{
    uint32_t index = (owner & (LS_CLIENTS - 1)) - FIRST_CLIENT;
    return index < run.writers &&
           atomic_load_explicit(&run.token[index], memory_order_acquire) == owner;
}

/* Check the frames of [from, to), whose bytes begin at `bytes`. */
static void check_extent(const uint8_t *bytes, uint64_t from, uint64_t to)
{
    uint64_t lsn = from;
    while (lsn < to) {
        const struct ls_frame *frame = (const void *)(bytes + (lsn - from));
        struct ls_frame header;
        if (ls_frame_check(frame, to - lsn, lsn, to, SALT, &header) != LS_FRAME_OK)
            fail("a published frame is damaged", lsn);
        if (header.group >= GROUPS || header.seq != run.next_seq[header.group])
            fail("a seq is missing or doubled", lsn);
        run.next_seq[header.group]++;
        if (header.kind == LS_ABORT)
            atomic_fetch_add(&run.seen.aborted, 1);
        else
            check_record(frame, lsn);
        lsn += ls_span(header.size - 1);
    }
}

/* Keep a vigil on a file that has room for one ring, and check what it has written there. */
static void await_work(struct ls_ring *ring, uint64_t blocked_lsn, int is_vigil, enum ls_mode mode)
{
    uint64_t from = atomic_load_explicit(&run.region->written, memory_order_relaxed), to;
    struct ls_file file = {run.file, from, from + run.capacity};
    if (is_vigil)
        ls_keep_writing(ring, &file, &blocked_lsn, LS_STATE_RUNNING);
    else
        ls_committer_idle(ring, &file, mode, blocked_lsn, LS_STATE_RUNNING,
                          ls_now_ns() + (mode == LS_NAPPING ? SLICE / 50 : SLICE / 5));
    to = atomic_load_explicit(&run.region->written, memory_order_relaxed);
    check_extent(run.written, from, to);
    run.on_vigils += to - from;
}

static void *drain(void *argument)
{
    struct ls_ring ring = attachment(1, 1);
    uint64_t dice = run.seed ^ 0xd7a1;
    (void)argument;
    while (!atomic_load(&run.stop)) {
        uint64_t written = atomic_load_explicit(&run.region->written, memory_order_relaxed);
        struct ls_extent extent;
        ls_walk(&ring, written, 1 + below(&dice, run.capacity), below(&dice, 2) == 0, &extent);
        if (extent.to > written) {
            check_extent((const uint8_t *)ls_frame_at(&ring, written), written, extent.to);
            ls_advance_published(&ring, extent.to);
            ls_advance_written(&ring, extent.to);
            ls_count_drain(&ring, extent.to - written);
        } else if (extent.stop == LS_STOP_DAMAGED) {
            fail("the walk met damage", extent.at);
        } else if (extent.stop == LS_STOP_BLOCKED && !alive(extent.owner)) {
            ls_abort_dead(&ring, extent.at, extent.owner);
        } else {
            int is_vigil = below(&dice, 2) == 0;
            await_work(&ring, extent.at, is_vigil, below(&dice, 2) == 0 ? LS_NAPPING : LS_SLEEPING);
        }
    }
    return NULL;
}

/* The syncer's part. */
static void *sync_written(void *argument)
{
    struct ls_ring ring = attachment(2, 1);
    uint64_t dice = run.seed ^ 0x5c1;
    (void)argument;
    while (!atomic_load(&run.stop)) {
        uint64_t synced = atomic_load(&run.region->synced);
        uint64_t target = atomic_load_explicit(&run.region->written, memory_order_acquire);
        if (target > synced) {
            atomic_store(&run.region->sync_intent, target);
            if (below(&dice, 2) == 0)
                usleep((useconds_t)below(&dice, 300)); /* the disk at work, not a wait */
            ls_advance_synced(&ring, target);
            ls_count_sync(&ring, target - synced, 1);
        } else if (below(&dice, 2) == 0) {
            ls_keep_syncing(&ring, run.file, 0, LS_STATE_RUNNING);
        } else {
            ls_syncer_idle(&ring, run.file, 0, below(&dice, 2) ? LS_NAPPING : LS_SLEEPING,
                           LS_STATE_RUNNING, ls_now_ns() + SLICE / 5);
        }
    }
    return NULL;
}

/* The supervisor's part: sleep until a client knocks, free what the dead hold. */
static void *repair(void *argument)
{
    struct ls_ring ring = attachment(0, 1);
    uint32_t seen = 0;
    (void)argument;
    while (!atomic_load(&run.stop)) {
        uint32_t owner;
        ls_wait_change(&run.region->attach_count, seen, ls_now_ns() + SLICE);
        seen = atomic_load(&run.region->attach_count);
        owner = (uint32_t)atomic_load(&run.region->owner);
        if (owner != 0 && !alive(owner))
            run.repaired += (uint64_t)ls_guard_repair(&ring, owner);
        ls_guard_post(&ring);
    }
    return NULL;
}

/* Wait for watermarks at random, and look at their order on the way. */
static void *watch(void *argument)
{
    struct writer *me = argument;
    struct ls_region *region = run.region;
    while (atomic_load(&run.busy_writers) > 0) {
        /* Order: the lower one first: what is read later has only grown. */
        uint64_t synced = atomic_load(&region->synced), written = atomic_load(&region->written);
        uint64_t published = atomic_load(&region->published), head = atomic_load(&region->head);
        if (synced > written || written > published || published > head)
            fail("the watermarks are out of order", head);
        if (head > FIRST_LSN)
            await(&me->ring, (enum ls_level)below(&me->dice, 3), head - 1 - below(&me->dice, 8));
        atomic_fetch_add_explicit(&run.waits, 1, memory_order_relaxed);
    }
    return NULL;
}

/* The whole. */

static void map_file(void)
{
    run.file = memfd_create("ring_stress_file", MFD_CLOEXEC);
    if (run.file >= 0 && ftruncate(run.file, (off_t)run.capacity) == 0)
        run.written = mmap(NULL, run.capacity, PROT_READ, MAP_SHARED, run.file, 0);
    if (run.written == NULL || run.written == MAP_FAILED) {
        perror("ring_stress: cannot map the file");
        exit(2);
    }
}

static void map_region(void)
{
    size_t header = (size_t)ls_header_size(), ring = (size_t)run.capacity;
    int fd = memfd_create("ring_stress", MFD_CLOEXEC);
    uint8_t *range =
        mmap(NULL, header + 2 * ring, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int protection = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_FIXED;

    if (fd < 0 || range == MAP_FAILED || ftruncate(fd, (off_t)(header + ring)) != 0 ||
        mmap(range, header + ring, protection, flags, fd, 0) == MAP_FAILED ||
        mmap(range + header + ring, ring, protection, flags, fd, (off_t)header) == MAP_FAILED) {
        perror("ring_stress: cannot map the region");
        exit(2);
    }
    close(fd);
    run.region = (struct ls_region *)(void *)range;
    run.bytes = range + header;
    run.region->start = run.region->head = run.region->published = FIRST_LSN;
    run.region->written = run.region->synced = FIRST_LSN;
    run.region->state = LS_STATE_RUNNING;
    if (sem_init(&run.semaphore, 0, 1) != 0)
        exit(2);
}

static struct writer *start(void *(*body)(void *), unsigned count, uint32_t first)
{
    struct writer *all = calloc(count + 1, sizeof *all);
    for (uint32_t i = 0; i < count; i++) {
        struct writer *one = &all[i];
        *one = (struct writer){.ring = attachment(FIRST_CLIENT + first + i, 1), .generation = 1,
                               .dice = run.seed * 1000 + first + i, .index = first + i,
                               .scratch = malloc(run.capacity)};
        if (first + i < run.writers)
            atomic_store(&run.token[first + i], one->ring.me);
    }
    for (unsigned i = 0; i < count; i++)
        if (pthread_create(&all[i].thread, NULL, body, &all[i]) != 0)
            exit(2);
    return all;
}

static void join(struct writer *all, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        pthread_join(all[i].thread, NULL);
        free(all[i].scratch);
    }
    free(all);
}

static void take_arguments(int argc, char **argv)
{
    int option;
    run.seed = 1, run.writers = 4, run.records = 20000, run.capacity = 1 << 16, run.waiters = 2;
    while ((option = getopt(argc, argv, "s:w:n:r:t:")) != -1) {
        uint64_t value = optarg ? strtoull(optarg, NULL, 0) : 0;
        switch (option) {
        case 's': run.seed = value; break;
        case 'w': run.writers = (unsigned)value; break;
        case 'n': run.records = value; break;
        case 'r': run.capacity = value; break;
        case 't': run.waiters = (unsigned)value; break;
        default: exit(2);
        }
    }
    if (run.writers < 1 || run.writers > MOST_WRITERS || run.waiters > MOST_WRITERS ||
        run.capacity < 4096 || (run.capacity & (run.capacity - 1)) != 0) {
        fprintf(stderr, "ring_stress: 1 to 64 writers, a ring of a power of two from 4096 on\n");
        exit(2);
    }
}

static void check_sums(void)
{
    uint64_t seqs = 0;
    for (unsigned group = 0; group < GROUPS; group++)
        seqs += atomic_load(&run.region->groups[group].seq);
    if (run.seen.records != run.issued.records || run.seen.bytes != run.issued.bytes ||
        run.seen.aborted != run.issued.aborted || seqs != run.seen.records + run.seen.aborted)
        fail("the sums differ", run.region->head);
    printf("ring_stress: seed %llu, %u writers: %llu records, %llu bytes, %llu aborted, "
           "%llu guards repaired, %llu waits, %llu bytes on vigils: all there, in order\n",
           (unsigned long long)run.seed, run.writers, (unsigned long long)run.seen.records,
           (unsigned long long)run.seen.bytes, (unsigned long long)run.seen.aborted,
           (unsigned long long)run.repaired, (unsigned long long)run.waits, (unsigned long long)run.on_vigils);
}

int main(int argc, char **argv)
{
    struct writer *writers, *waiters, *workers[3];
    struct ls_ring ring;

    take_arguments(argc, argv);
    map_region();
    map_file();
    for (unsigned group = 0; group < GROUPS; group++)
        run.next_seq[group] = 1;
    atomic_store(&run.busy_writers, (int)run.writers);
    writers = start(write_records, run.writers, 0);
    waiters = start(watch, run.waiters, run.writers);
    workers[0] = start(drain, 1, MOST_WRITERS + run.waiters);
    workers[1] = start(sync_written, 1, MOST_WRITERS + run.waiters + 1);
    workers[2] = start(repair, 1, MOST_WRITERS + run.waiters + 2);
    join(writers, run.writers);
    join(waiters, run.waiters);
    ring = attachment(FIRST_CLIENT + MOST_WRITERS + run.waiters, 1);
    await(&ring, LS_LEVEL_SYNCED, atomic_load(&run.region->head) - 1);
    atomic_store(&run.stop, 1);
    ls_set_state(&ring, LS_STATE_RUNNING); /* wakes whoever sleeps */
    ls_knock(&ring);
    for (unsigned i = 0; i < 3; i++)
        join(workers[i], 1);
    check_sums();
    return 0;
}
