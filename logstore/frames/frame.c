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
    return ls_crc32c_frame(salt, payload_length + 1, &header->lsn, payload, payload_length);
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

static inline enum ls_verdict peek(const void *bytes, size_t available, uint64_t lsn,
                                   uint64_t limit_lsn, struct ls_frame *header)
{
    uint64_t room = lsn < limit_lsn ? limit_lsn - lsn : 0;
    uint64_t span;

    if (room < LS_FRAME_HEADER)
        return LS_FRAME_BAD;
    if (available < LS_FRAME_HEADER)
        return LS_FRAME_SHORT;
    memcpy(header, bytes, sizeof *header);
    if (header->size == 0 || (header->size & LS_IN_FLIGHT) || header->lsn != lsn)
        return LS_FRAME_BAD;
    span = ls_span(header->size - 1);
    if (span > room)
        return LS_FRAME_BAD;
    return span > available ? LS_FRAME_SHORT : LS_FRAME_OK;
}

enum ls_verdict ls_frame_peek(const void *bytes, size_t available, uint64_t lsn,
                              uint64_t limit_lsn, struct ls_frame *header)
{
    return peek(bytes, available, lsn, limit_lsn, header);
}

enum ls_verdict ls_frame_check(const void *bytes, size_t available, uint64_t lsn,
                               uint64_t limit_lsn, uint32_t salt, struct ls_frame *header)
{
    enum ls_verdict verdict = peek(bytes, available, lsn, limit_lsn, header);
    const unsigned char *payload = (const unsigned char *)bytes + LS_FRAME_HEADER;
    uint32_t length;

    if (verdict != LS_FRAME_OK)
        return verdict;
    length = header->size - 1;
    if (ls_frame_crc(header, payload, length, salt) != header->crc)
        return LS_FRAME_BAD;
    return all_zero(payload + length, (size_t)(-(uint64_t)length & (LS_ALIGNMENT - 1)))
               ? LS_FRAME_OK
               : LS_FRAME_BAD;
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
