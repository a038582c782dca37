/* A survey: what a byte range of frames holds, without making a record of each.
 *
 * Sealing, recovery and repair all learn about a segment in this one way. A survey is fed pieces of
 * the range in order, each beginning at `end_lsn`, and stands still where the frames end or turn
 * bad. Plain C without Python, so that feeding needs no interpreter lock. One thread at a time.
 */
#ifndef LS_SURVEY_H
#define LS_SURVEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frames/frame.h"
#include "frames/parts.h"

/* A growing array; each user knows the type of its items. */
struct ls_array {
    void *items;
    size_t count;
    size_t capacity;
};

/* The frames of one group. Any frame with a seq widens the range, only records are counted. */
struct ls_group_range {
    uint64_t first_seq;
    uint64_t last_seq;
    uint64_t record_count;
    bool seen;
};

/* Where a record of a group lies; the sparse index is made of these. */
struct ls_point {
    uint64_t seq;
    uint64_t lsn;
    uint16_t group;
};

/* A frame that is not a record, its payload kept in `payloads`. */
struct ls_system_frame {
    uint64_t lsn;
    uint64_t seq;
    size_t payload_offset;
    uint32_t payload_length;
    uint16_t group;
    uint8_t kind;
    bool settled; /* the commit of a transaction that begins here too: nothing is left to tell */
};

struct ls_survey {
    uint64_t end_lsn;      /* behind the last whole valid frame */
    uint64_t batch_lsn;    /* where the unfinished batch at the end starts, while in_batch */
    uint64_t proof_lsn;    /* the greatest claim of any frame */
    uint64_t record_count;
    uint64_t stride;       /* records of a group from one point to the next */
    uint32_t salt;
    uint32_t digest;       /* CRC-32C of all bytes from the start to end_lsn */
    bool in_batch;
    struct ls_array groups;   /* struct ls_group_range, by group id */
    struct ls_array points;   /* struct ls_point, in the order of the log */
    struct ls_array system;   /* struct ls_system_frame, in the order of the log */
    struct ls_array payloads; /* unsigned char */
    struct ls_parts parts;    /* what transactions have that do not begin and commit here */
};

/* Start at `lsn` with nothing seen. `stride` is at least 1. */
void ls_survey_begin(struct ls_survey *survey, uint64_t lsn, uint32_t salt, uint64_t stride);

/* Free what the survey gathered. */
void ls_survey_end(struct ls_survey *survey);

/* Take in the frames of `bytes`, which begin at end_lsn, as far as they are valid and end at or
 * below `limit_lsn`.
 *
 * `verdict` says why it stopped: LS_FRAME_OK at the limit, LS_FRAME_SHORT at the end of the bytes,
 * LS_FRAME_BAD. Kinds are not judged: an unknown one is listed in `system` like any other.
 * Returns false if memory ran out; the survey then stands before the frame that did not fit.
 */
bool ls_survey_feed(struct ls_survey *survey, const void *bytes, size_t available,
                    uint64_t limit_lsn, enum ls_verdict *verdict);

#endif
