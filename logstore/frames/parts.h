/* The parts of transactions in a byte range: which seqs each transaction has taken there.
 *
 * A transaction that begins and commits within the range leaves nothing to be told: its parts are
 * records like any other from then on. Of the others, the seqs are kept as ranges.
 */
#ifndef LS_PARTS_H
#define LS_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A closed range of seqs. */
struct ls_range {
    uint64_t first, last;
};

/* What a transaction has in one group. */
struct ls_part_set {
    struct ls_part_set *next;
    uint64_t last_lsn; /* of its last part */
    struct ls_range *ranges;
    size_t count, capacity;
    uint16_t group;
};

struct ls_transaction_parts {
    struct ls_transaction_parts *next; /* in its bucket, or among those that have ended */
    uint64_t id;
    size_t ended_before; /* the number of the system frame that ended it */
    struct ls_part_set *sets;
    bool begun; /* its first part is in the range */
};

struct ls_parts {
    struct ls_transaction_parts **buckets; /* those that are open, by id */
    size_t bucket_count, open_count;
    struct ls_transaction_parts *ended, **ended_tail; /* those of which something is told */
    bool odd; /* some part makes no sense: judge every frame by itself */
};

void ls_parts_begin(struct ls_parts *parts);
void ls_parts_end(struct ls_parts *parts);

/* Make room for one more part of a transaction in a group; NULL if memory ran out. */
struct ls_part_set *ls_parts_room(struct ls_parts *parts, uint64_t id, uint64_t lsn,
                                  uint16_t group);

/* Take in the part for which room was made. */
void ls_parts_add(struct ls_parts *parts, struct ls_part_set *set, uint64_t seq, uint64_t lsn);

/* A commit of the transaction: true if nothing is to be told of it, nor of the commit. */
bool ls_parts_commit(struct ls_parts *parts, uint64_t id, size_t system_count);

/* A transaction ended, or all of them, otherwise than by a commit that ends the matter. */
void ls_parts_abort(struct ls_parts *parts, uint64_t id, size_t system_count);
void ls_parts_abort_all(struct ls_parts *parts, size_t system_count);

#endif
