"""A second frame codec, written from the format's table alone, to judge the C by.

Slow and plain on purpose: `struct` and the package `crc32c`, nothing of logstore.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Literal

import crc32c

SALT = 0x5EED1234
FIRST_LSN = 4096
NO_CLAIM = 0xFFFFFFFF

Verdict = Literal["end", "short", "bad"]


@dataclass(frozen=True)
class Frame:
    """One frame's fields; `lsn` is set where it is laid out."""

    payload: bytes
    lsn: int = FIRST_LSN
    seq: int = 1
    group: int = 0
    kind: int = 1
    flags: int = 0
    distance: int = NO_CLAIM

    @property
    def span(self) -> int:
        return 32 + -(-len(self.payload) // 8) * 8

    def encode(self, salt: int = SALT) -> bytes:
        size = struct.pack("<I", len(self.payload) + 1)
        rest = struct.pack(
            "<QQHBBI", self.lsn, self.seq, self.group, self.kind, self.flags, self.distance
        )
        crc = crc32c.crc32c(size + rest + self.payload, salt)
        whole = size + struct.pack("<I", crc) + rest + self.payload
        return whole + bytes(self.span - len(whole))


def lay_out(frames: list[Frame], lsn: int = FIRST_LSN) -> list[Frame]:
    """Place frames one behind the other."""
    placed = []
    for frame in frames:
        placed.append(replace(frame, lsn=lsn))
        lsn += frame.span
    return placed


def encode_all(frames: list[Frame], salt: int = SALT) -> bytes:
    return b"".join(frame.encode(salt) for frame in frames)


def decode_one(
    data: bytes, lsn: int, limit_lsn: int, salt: int = SALT
) -> Frame | Literal["short", "bad"]:
    """Judge the frame at the start of `data`."""
    if limit_lsn - lsn < 32:
        return "bad"
    if len(data) < 32:
        return "short"
    size, crc, own_lsn, seq, group, kind, flags, distance = struct.unpack("<IIQQHBBI", data[:32])
    if size == 0 or size >= 0x80000000 or own_lsn != lsn:
        return "bad"
    span = (32 + (size - 1) + 7) // 8 * 8
    if lsn + span > limit_lsn:
        return "bad"
    if span > len(data):
        return "short"
    payload = data[32 : 31 + size]
    if crc32c.crc32c(data[:4] + data[8:32] + payload, salt) != crc:
        return "bad"
    if any(data[31 + size : span]):
        return "bad"
    return Frame(payload, lsn, seq, group, kind, flags, distance)


def decode(
    data: bytes, lsn: int, limit_lsn: int, salt: int = SALT
) -> tuple[list[Frame], int, Verdict]:
    """Judge frame after frame; return the valid ones, the LSN behind them, and why it ends."""
    frames: list[Frame] = []
    offset = 0
    while lsn + offset < limit_lsn:
        frame = decode_one(data[offset:], lsn + offset, limit_lsn, salt)
        if isinstance(frame, str):
            return frames, lsn + offset, frame
        frames.append(frame)
        offset += frame.span
    return frames, lsn + offset, "end"
