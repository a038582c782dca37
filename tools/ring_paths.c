/* Walk the ring's paths one after the other, for counting instructions: `ring_paths size records`.
 *
 * Each path is a function of its own, which tools/instructions.py has callgrind count apart. What is
 * counted is what a process does that never has to wait: a free guard, room in the ring, nobody to
 * wake. The program is its own only writer and committer.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ring/ring.h"

#define FIRST_LSN UINT64_C(4096)
#define SALT 0x5a17u
#define ME 8u /* the entries below are roles */
#define BATCH 64u
#define CAPACITY (UINT64_C(32) << 20)
#define MOST (UINT64_C(1) << 20) /* of one extent, as the committer takes it */
#define PATH __attribute__((noinline)) void

static void fail(const char *what)
{
    fprintf(stderr, "ring_paths: %s\n", what);
    exit(1);
}

PATH path_append(struct ls_ring *ring, const void *payload, uint64_t size, uint64_t records)
{
    struct ls_request want = {.span = ls_span(size), .bytes = size, .records = 1, .kind = LS_DATA};
    struct ls_slot slot;

    for (uint64_t i = 0; i < records; i++) {
        if (ls_reserve(ring, &want, &slot) != LS_OK)
            fail("no reservation to be had");
        ls_fill(ring, &slot, payload, size);
    }
}

PATH path_append_many(struct ls_ring *ring, const void *payload, uint64_t size, uint64_t records)
{
    struct ls_request want = {.span = BATCH * ls_span(size), .bytes = BATCH * size,
                              .records = BATCH, .kind = LS_DATA};
    struct ls_part parts[BATCH];
    struct ls_slot slot;

    for (unsigned i = 0; i < BATCH; i++)
        parts[i] = (struct ls_part){payload, size};
    for (uint64_t i = 0; i < records; i += BATCH) {
        if (ls_reserve(ring, &want, &slot) != LS_OK)
            fail("no reservation to be had");
        ls_fill_batch(ring, &slot, parts, BATCH, 0, LS_DATA);
    }
}

PATH path_drain(struct ls_ring *ring)
{
    uint64_t head = atomic_load(&ring->region->head);
    uint64_t written = atomic_load(&ring->region->written);
    struct ls_extent extent;

    while (written < head) {
        ls_walk(ring, written, MOST, 1, &extent);
        if (extent.to == written)
            fail("a published frame is not sound");
        written = extent.to;
        ls_advance_published(ring, written);
        ls_advance_written(ring, written);
        ls_count_drain(ring, extent.to - extent.from);
    }
}

PATH path_wait(struct ls_ring *ring, uint64_t records)
{
    for (uint64_t i = 0; i < records; i++) /* for what is durable already, as most waits are in a pipeline */
        if (ls_wait(ring, LS_LEVEL_SYNCED, FIRST_LSN, 0) != LS_OK)
            fail("not durable");
}

PATH path_check(const struct ls_ring *ring, uint64_t from)
{
    uint64_t head = atomic_load(&ring->region->head);
    struct ls_frame header;

    for (uint64_t lsn = from; lsn < head; lsn += ls_span(header.size - 1))
        if (ls_frame_check(ls_frame_at(ring, lsn), head - lsn, lsn, head, SALT, &header) !=
            LS_FRAME_OK)
            fail("a frame is not sound");
}

/* A region as the supervisor makes it, without a name; the ring is mapped twice. */
static struct ls_ring mapped(void)
{
    static sem_t semaphore;
    uint64_t header = ls_header_size();
    int fd = memfd_create("ring_paths", MFD_CLOEXEC);
    int both = PROT_READ | PROT_WRITE, fixed = MAP_SHARED | MAP_FIXED;
    uint8_t *at = mmap(NULL, header + 2 * CAPACITY, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct ls_region *region = (struct ls_region *)(void *)at;

    if (fd < 0 || at == MAP_FAILED || ftruncate(fd, (off_t)(header + CAPACITY)) != 0 ||
        mmap(at, header + CAPACITY, both, fixed, fd, 0) == MAP_FAILED ||
        mmap(at + header + CAPACITY, CAPACITY, both, fixed, fd, (off_t)header) == MAP_FAILED ||
        sem_init(&semaphore, 1, 1) != 0)
        fail("cannot map a region");
    close(fd);
    region->start = region->head = region->published = region->written = region->synced = FIRST_LSN;
    region->state = LS_STATE_RUNNING;
    return (struct ls_ring){.region = region, .bytes = at + header, .capacity = CAPACITY,
                            .semaphore = &semaphore, .me = ls_token(ME, 1), .salt = SALT};
}

int main(int argc, char **argv)
{
    uint64_t size = argc == 3 ? strtoull(argv[1], NULL, 0) : 0;
    uint64_t records = argc == 3 ? strtoull(argv[2], NULL, 0) : 0;
    struct ls_ring ring;
    uint8_t *payload;

    if (records == 0 || records % BATCH != 0 || 2 * records * ls_span(size) > CAPACITY)
        fail("usage: ring_paths size records; records are a multiple of 64 and fit half the ring twice");
    ring = mapped();
    payload = malloc(size + 1);
    if (payload == NULL)
        fail("no memory");
    memset(payload, 0x5a, size);
    path_append(&ring, payload, size, records);
    path_drain(&ring);
    path_check(&ring, FIRST_LSN);
    ls_advance_synced(&ring, atomic_load(&ring.region->head));
    path_append_many(&ring, payload, size, records);
    path_wait(&ring, records);
    free(payload);
    return 0;
}
