"""Byte ranges and rings, read twice: by the C and by the reference."""

from __future__ import annotations

import mmap
import os
import struct
from functools import cache
from typing import Final

from logstore import frames
from logstore.ring._ring import LAYOUT, Ring
from logstore.ring.layout import HEADER_SIZE, Stop
from tests.frames.expecting import (
    NAMES,
    expected_find,
    expected_frame,
    expected_resync,
    expected_scan,
    expected_survey,
    facts_of,
)
from tests.frames.reference import FIRST_LSN, SALT, Frame, decode_one

RING: Final = 4096
MASK: Final = 2**64 - 1


def check_scan(data: bytes, room: int, kinds: int, most: int, copy: bool) -> None:
    """Scan a byte range."""
    limit_lsn = FIRST_LSN + room
    found = frames.scan(
        data, FIRST_LSN, SALT, limit_lsn, NAMES, kinds=kinds, copy=copy, max_records=most
    )
    assert found == expected_scan(data, limit_lsn, kinds, most)
    for record in found[0]:
        again = frames.Record(
            record.lsn, record.group, record.seq, record.kind, bytes(record.payload)
        )
        assert again == record
        assert hash(again) == hash(record)
    assert frames.kinds_of(found[0]) == sum({1 << record.kind for record in found[0]})


def check_places(data: bytes, offset: int, room: int, group: int, seq: int) -> None:
    """Look at one frame, for the next one, and for a record, from some offset on."""
    limit_lsn, offset = FIRST_LSN + room, min(offset, len(data))
    lsn = FIRST_LSN + offset
    found = frames.frame_at(data, offset, lsn, SALT, limit_lsn, NAMES)
    assert found == expected_frame(data[offset:], lsn, limit_lsn)
    rest = data[offset:]
    assert frames.resync(rest, lsn, SALT, limit_lsn) == expected_resync(rest, lsn, limit_lsn)
    found_record = frames.find(data, 0, FIRST_LSN, SALT, limit_lsn, NAMES, group, seq)
    assert found_record == expected_find(data, limit_lsn, group, seq)


def check_survey(data: bytes, room: int, stride: int, ends: list[int]) -> None:
    """Survey a byte range as a whole and in pieces."""
    limit_lsn = FIRST_LSN + room
    whole = frames.Survey(FIRST_LSN, SALT, stride)
    fed = whole.feed(data, limit_lsn)
    expected = expected_survey(data, limit_lsn, stride)
    assert facts_of(whole) == expected
    pieces = frames.Survey(FIRST_LSN, SALT, stride)
    lsn = FIRST_LSN
    for end in sorted(min(end, len(data)) for end in ends):
        lsn, _ = pieces.feed(data[lsn - FIRST_LSN : end], limit_lsn)
    assert pieces.feed(data[lsn - FIRST_LSN :], limit_lsn) == fed
    assert facts_of(pieces) == expected
    assert pieces.effects() == whole.effects()
    assert whole.marks() == [one for one in whole.system() if one[1] == frames.MARK]


# The ring.


@cache
def _ring() -> tuple[Ring, mmap.mmap]:
    fd = os.memfd_create("ring")
    os.posix_fallocate(fd, 0, HEADER_SIZE + RING)
    ring = Ring(fd, RING, SALT, None)
    memory = mmap.mmap(fd, HEADER_SIZE + RING)
    os.close(fd)
    return ring, memory


def expected_walk(
    data: bytes, start: int, head: int, most: int, *, verify: bool
) -> tuple[int, int, int, int]:
    """What a walk over the ring should return, with the frame at an LSN at that modulo its size."""
    to = at = before = to_before = start
    if (head - start) & MASK > RING or start % 8:
        return to, Stop.DAMAGED, at, 0
    while at < head:
        frame = (data + data)[at % RING :][: head - at]
        if len(frame) < 32:
            # What is reserved is never so short; the walk looks at what lies there all the same.
            frame = (data + data)[at % RING :][:32]
        size, crc, lsn = struct.unpack_from("<IIQ", frame)
        flying, size = size >> 31, size & 0x7FFFFFFF
        span = (32 + size - 1 + 7) // 8 * 8
        sound = size > 0 and lsn == at and span <= head - at
        if sound and verify and not flying:
            sound = isinstance(decode_one(frame, at, head), Frame)
        if not sound:
            if verify and at > start and _is_sliver(data, at, head):
                return to_before, Stop.DAMAGED, before, 0
            return to, Stop.DAMAGED, at, 0
        if flying:
            return to, Stop.BLOCKED, at, crc
        if at + span - start > most and to > start:
            return to, Stop.LIMIT, at, 0
        before, to_before = at, to
        at += span
        if not frame[27] & 1:
            to = at
    return to, Stop.DRY, at, 0


def _is_sliver(data: bytes, end: int, head: int) -> bool:
    """Tell whether less than a frame lies between the end of one and the next that is sound."""
    (told,) = struct.unpack_from("<Q", (data + data)[end % RING :], 8)
    if told == end:
        return False
    return any(_may_begin(data, end + k, head) for k in (8, 16, 24) if end + k <= head)


def _may_begin(data: bytes, at: int, head: int) -> bool:
    if at == head:
        return True
    frame = (data + data)[at % RING :][: head - at]
    if len(frame) < 32:
        return False
    size, _, lsn = struct.unpack_from("<IIQ", frame)
    if size >> 31 and lsn == at:
        length = (size & 0x7FFFFFFF) - 1
        fits: bool = length >= 0 and 32 + (length + 7) // 8 * 8 <= head - at
        return fits
    return isinstance(decode_one(frame, at, head), Frame)


def check_walk(data: bytes, start: int, reserved: int, most: int, verify: bool) -> None:
    """Walk over a ring whose bytes and whose head may be anything."""
    ring, memory = _ring()
    data = data[:RING].ljust(RING, b"\0")
    head = (start + reserved) & MASK
    memory[HEADER_SIZE:] = data
    struct.pack_into("<Q", memory, LAYOUT["head"], head)
    found = ring.walk(start, most, verify)
    expected = expected_walk(data, start, head, most, verify=verify)
    assert found == expected, f"{found} instead of {expected}"
