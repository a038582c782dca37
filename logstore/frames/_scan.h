/* What `scan`, `frame_at`, `find` and OpenFiles share: from a frame in some bytes to a Record. */
#ifndef LS_PYTHON_SCAN_H
#define LS_PYTHON_SCAN_H

#include "frames/_frame.h"

#include "frames/frame.h"

#define KNOWN_FLAGS LS_MORE_OF_BATCH /* any other changes what the payload means */

/* A walk over frames: where it is, and how records are made of them. */
struct scan {
    const unsigned char *bytes;
    size_t length;
    size_t offset;
    uint64_t lsn;
    uint64_t limit_lsn;
    uint64_t kinds;
    uint64_t max_records;
    uint32_t salt;
    PyTypeObject *record_type;
    PyObject *names;
    PyObject *view;       /* a read-only view of the bytes if payloads are not copied, else NULL */
    PyObject *records;
    PyObject *group_name; /* of the group last seen: records come in runs of one group */
    uint16_t group;
};

enum reading { DELIVER, SKIP, REFUSE };

/* Whether this version can read a valid frame, and whether the caller wants it. */
static inline enum reading scan_judge(const struct scan *scan, const struct ls_frame *header)
{
    bool known = ls_kind_known(header->kind);

    if (!known && (header->kind & LS_IGNORABLE))
        return SKIP;
    if (!known || (header->flags & ~KNOWN_FLAGS))
        return REFUSE;
    return scan->kinds >> header->kind & 1 ? DELIVER : SKIP;
}

static inline enum ls_verdict scan_check(const struct scan *scan, struct ls_frame *header)
{
    return ls_frame_check(scan->bytes + scan->offset, scan->length - scan->offset, scan->lsn,
                          scan->limit_lsn, scan->salt, header);
}

static inline void scan_step(struct scan *scan, const struct ls_frame *header)
{
    scan->offset += (size_t)ls_span(header->size - 1);
    scan->lsn += ls_span(header->size - 1);
}

/* The record of the frame that the scan is at, or NULL with an exception set. */
PyObject *scan_record(struct scan *scan, const struct ls_frame *header);

/* Walk to the record with this seq, or to where it can be no more; the verdict says which.
 *
 * Only that record's checksum is looked at. A damaged header on the way leads to a record that is
 * sound and has this seq, which is then the one, or to none, which proves nothing. */
enum ls_verdict scan_to(struct scan *scan, uint64_t group, uint64_t seq, bool *found,
                        struct ls_frame *header);

#endif
