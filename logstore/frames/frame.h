/* The frame: 32 bytes of header, the payload, and zeros up to the next multiple of 8.
 *
 * The same bytes lie in the ring and in the segment file, so the struct below is the format. All
 * fields are little-endian, and so is every machine that this compiles for.
 *
 * A frame at `lsn` is valid if and only if: its size is not 0 and not in flight, its lsn field is
 * its own position, its CRC fits under the epoch's salt, and its padding is zero. Whoever writes
 * frames must therefore write the padding too: stale bytes behind a payload make the frame bad.
 *
 * Nothing here allocates, locks or keeps state; any number of threads may call every function.
 */
#ifndef LS_FRAME_H
#define LS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "frames are little-endian, and one 64-bit store must publish {size, crc} in that order"
#endif

#define LS_FRAME_HEADER 32u
#define LS_ALIGNMENT 8u
#define LS_IN_FLIGHT 0x80000000u      /* in size, in the ring only: reserved, still being filled */
#define LS_MAX_PAYLOAD 0x7FFFFFFEu    /* size is payload + 1 and must not reach LS_IN_FLIGHT */
#define LS_NO_CLAIM 0xFFFFFFFFu       /* a distance that proves nothing */
#define LS_NOT_FOUND UINT64_MAX

enum ls_kind {
    LS_DATA = 1,
    LS_TXN_PART = 2,
    LS_TXN_COMMIT = 3,
    LS_TXN_ABORT = 4,
    LS_CHECKPOINT = 5,
    LS_REVERT = 6,
    LS_GROUP_NAME = 7,
    LS_MARK = 8,
    LS_ABORT = 9, /* an abandoned reservation */
    LS_LAST_KIND = LS_ABORT,
    LS_IGNORABLE = 0x80, /* a bit: whoever does not know the kind may skip the frame */
};

enum ls_flag {
    LS_MORE_OF_BATCH = 1, /* on all frames of a batch but the last */
    LS_COMPRESSED = 2,    /* reserved: nothing writes it yet */
};

struct ls_frame {
    union {
        struct {
            uint32_t size; /* payload bytes + 1, so that zeros are never a frame */
            uint32_t crc;  /* while in flight: the owner */
        };
        uint64_t word; /* both: the ring publishes a frame by one 64-bit store of this */
    };
    uint64_t lsn;
    uint64_t seq;
    union {
        struct {
            uint16_t group;
            uint8_t kind;
            uint8_t flags;
            uint32_t distance; /* (lsn - synced when reserved) / 8 */
        };
        uint64_t tail; /* all four: written by one store, the checksum can load it without a stall */
    };
};

_Static_assert(sizeof(struct ls_frame) == LS_FRAME_HEADER, "the header is 32 bytes");
_Static_assert(_Alignof(struct ls_frame) == LS_ALIGNMENT, "the header's words are aligned");
_Static_assert(offsetof(struct ls_frame, size) == 0, "size at 0");
_Static_assert(offsetof(struct ls_frame, crc) == 4, "crc at 4");
_Static_assert(offsetof(struct ls_frame, word) == 0, "word over size and crc");
_Static_assert(offsetof(struct ls_frame, lsn) == 8, "lsn at 8");
_Static_assert(offsetof(struct ls_frame, seq) == 16, "seq at 16");
_Static_assert(offsetof(struct ls_frame, group) == 24, "group at 24");
_Static_assert(offsetof(struct ls_frame, kind) == 26, "kind at 26");
_Static_assert(offsetof(struct ls_frame, flags) == 27, "flags at 27");
_Static_assert(offsetof(struct ls_frame, distance) == 28, "distance at 28");
_Static_assert(offsetof(struct ls_frame, tail) == 24, "tail over the last four");
_Static_assert(sizeof(_Atomic uint64_t) == sizeof(uint64_t), "an atomic word is a plain word");

enum ls_verdict {
    LS_FRAME_OK,
    LS_FRAME_SHORT, /* more bytes are needed to judge */
    LS_FRAME_BAD,
};

/* Whether this version defines the kind. An unknown one is skipped if LS_IGNORABLE is set in it. */
static inline bool ls_kind_known(uint8_t kind)
{
    return kind >= LS_DATA && kind <= LS_LAST_KIND;
}

/* Bytes that a frame takes, header and padding included. */
static inline uint64_t ls_span(uint64_t payload_length)
{
    return (LS_FRAME_HEADER + payload_length + (LS_ALIGNMENT - 1)) & ~(uint64_t)(LS_ALIGNMENT - 1);
}

/* The first word of a frame that lies in the ring, for atomic loads and stores. */
static inline _Atomic uint64_t *ls_frame_atomic_word(struct ls_frame *frame)
{
    return (_Atomic uint64_t *)(void *)&frame->word;
}

/* The word that holds `size` and `crc` (or an in-flight size and its owner). */
static inline uint64_t ls_frame_word(uint32_t size, uint32_t crc)
{
    return (uint64_t)crc << 32 | size;
}

/* The word that holds `group`, `kind`, `flags` and `distance`. */
static inline uint64_t ls_frame_tail(uint16_t group, uint8_t kind, uint8_t flags, uint32_t distance)
{
    return (uint64_t)distance << 32 | (uint64_t)flags << 24 | (uint64_t)kind << 16 | group;
}

/* The distance field of a frame at `lsn` that is reserved while `synced_lsn` is durable. */
static inline uint32_t ls_frame_distance(uint64_t lsn, uint64_t synced_lsn)
{
    uint64_t distance;

    if (synced_lsn > lsn)
        return 0;
    distance = (lsn - synced_lsn + (LS_ALIGNMENT - 1)) / LS_ALIGNMENT; /* never claim too much */
    return distance < LS_NO_CLAIM ? (uint32_t)distance : LS_NO_CLAIM;
}

/* The LSN below which a valid frame says everything was durable; 0 if it says nothing. */
static inline uint64_t ls_frame_proof(const struct ls_frame *frame)
{
    uint64_t below = (uint64_t)frame->distance * LS_ALIGNMENT;

    return frame->distance == LS_NO_CLAIM || below > frame->lsn ? 0 : frame->lsn - below;
}

/* The checksum of a frame. Of the header's first word nothing is read: the size follows from the
 * payload's length. */
uint32_t ls_frame_crc(const struct ls_frame *header, const void *payload, uint32_t payload_length,
                      uint32_t salt);

/* Write a whole frame of ls_span(payload_length) bytes to `frame`, padding included.
 *
 * Takes lsn, seq, group, kind, flags and distance from `header`; size and crc are computed.
 * `payload_length` is at most LS_MAX_PAYLOAD, and `frame` does not overlap `payload`.
 */
void ls_frame_encode(void *frame, const struct ls_frame *header, const void *payload,
                     uint32_t payload_length, uint32_t salt);

/* Judge the frame that should begin at `bytes`, at LSN `lsn`, and end at or below `limit_lsn`.
 *
 * Never reads beyond `available` bytes, whatever they are, and needs no alignment. A frame that
 * would cross the limit is bad; one that fits below it but not into the bytes at hand is short.
 * `header` receives a copy of the header, except when fewer than 32 bytes are left; judge by
 * this copy, not by the bytes, which another process may be changing.
 */
enum ls_verdict ls_frame_check(const void *bytes, size_t available, uint64_t lsn,
                               uint64_t limit_lsn, uint32_t salt, struct ls_frame *header);

/* As ls_frame_check, but looks at the header alone: what seems a frame may turn out not to be one. For
 * who steps over frames to one that is then checked. */
enum ls_verdict ls_frame_peek(const void *bytes, size_t available, uint64_t lsn,
                              uint64_t limit_lsn, struct ls_frame *header);

/* Find the first valid frame at an aligned LSN, wholly within the bytes and below the limit.
 *
 * `bytes` begin at LSN `lsn`. Returns the frame's LSN, or LS_NOT_FOUND. A frame that the end of the
 * bytes cuts is not found: whoever goes through a file piece by piece lets the pieces overlap.
 */
uint64_t ls_frame_resync(const void *bytes, size_t available, uint64_t lsn, uint64_t limit_lsn,
                         uint32_t salt);

#endif
