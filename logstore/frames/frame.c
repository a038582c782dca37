/* The frame codec: how a frame is checksummed, written, judged and found again after damage.
 *
 * Plain C without Python, so that the ring links it too. Bytes to be judged come from disk or from
 * memory that other processes write: they may hold anything, and nothing is read outside of them.
 */
#include "frames/frame.h"

#include <string.h>

#include "frames/crc32c.h"

uint32_t ls_frame_crc(const struct ls_frame *header, const void *payload, uint32_t payload_length,
                      uint32_t salt)
{
    uint32_t size = header->size & ~LS_IN_FLIGHT;
    uint32_t crc = ls_crc32c(salt, &size, sizeof size);

    crc = ls_crc32c(crc, &header->lsn, LS_FRAME_HEADER - offsetof(struct ls_frame, lsn));
    return ls_crc32c(crc, payload, payload_length);
}

void ls_frame_encode(void *frame, const struct ls_frame *header, const void *payload,
                     uint32_t payload_length, uint32_t salt)
{
    struct ls_frame whole = *header;
    unsigned char *at = frame;

    whole.size = payload_length + 1;
    whole.crc = ls_frame_crc(&whole, payload, payload_length, salt);
    /* The padding lies in the last word: zero all of it, then write over what is not padding. */
    memset(at + ls_span(payload_length) - LS_ALIGNMENT, 0, LS_ALIGNMENT);
    memcpy(at, &whole, sizeof whole);
    if (payload_length != 0)
        memcpy(at + LS_FRAME_HEADER, payload, payload_length);
}

static bool all_zero(const unsigned char *at, size_t length)
{
    unsigned char any = 0;

    while (length-- != 0)
        any |= *at++;
    return any == 0;
}

enum ls_verdict ls_frame_check(const void *bytes, size_t available, uint64_t lsn,
                               uint64_t limit_lsn, uint32_t salt, struct ls_frame *header)
{
    const unsigned char *at = bytes;
    uint64_t room = lsn < limit_lsn ? limit_lsn - lsn : 0;
    uint32_t payload_length;
    uint64_t span;
    size_t used;

    if (room < LS_FRAME_HEADER)
        return LS_FRAME_BAD;
    if (available < LS_FRAME_HEADER)
        return LS_FRAME_SHORT;
    memcpy(header, at, sizeof *header);
    if (header->size == 0 || (header->size & LS_IN_FLIGHT) || header->lsn != lsn)
        return LS_FRAME_BAD;
    payload_length = header->size - 1;
    span = ls_span(payload_length);
    if (span > room)
        return LS_FRAME_BAD;
    if (span > available)
        return LS_FRAME_SHORT;
    if (ls_frame_crc(header, at + LS_FRAME_HEADER, payload_length, salt) != header->crc)
        return LS_FRAME_BAD;
    used = (size_t)LS_FRAME_HEADER + payload_length;
    return all_zero(at + used, (size_t)span - used) ? LS_FRAME_OK : LS_FRAME_BAD;
}

uint64_t ls_frame_resync(const void *bytes, size_t available, uint64_t lsn, uint64_t limit_lsn,
                         uint32_t salt)
{
    size_t skip = (size_t)(-lsn & (LS_ALIGNMENT - 1));
    const unsigned char *at = bytes;
    struct ls_frame header;

    for (; skip <= available && available - skip >= LS_FRAME_HEADER; skip += LS_ALIGNMENT)
        if (ls_frame_check(at + skip, available - skip, lsn + skip, limit_lsn, salt, &header) ==
            LS_FRAME_OK)
            return lsn + skip;
    return LS_NOT_FOUND;
}
