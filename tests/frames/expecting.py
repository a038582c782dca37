"""What the C functions must say of a byte range, worked out from what the reference decodes."""

from __future__ import annotations

import crc32c

from logstore import frames
from tests.frames.reference import FIRST_LSN, SALT, Frame, decode, decode_one

NAMES = ["default", "orders"]
RECORD_KINDS = (1, 2)
Facts = dict[str, object]


def name_of(group: int) -> str:
    return NAMES[group] if group < len(NAMES) else f"#{group}"


def expected_scan(
    data: bytes, limit_lsn: int, kinds: int, max_records: int
) -> tuple[list[frames.Record], int, int]:
    """What scan should return: the reference's frames, with scan's rules on kinds applied."""
    whole, end_lsn, why = decode(data, FIRST_LSN, limit_lsn)
    records: list[frames.Record] = []
    for frame in whole:
        if len(records) == max_records:
            return records, frame.lsn, frames.END
        known = 1 <= frame.kind <= 9
        if not known and frame.kind >= 0x80:
            continue
        if not known or frame.flags not in (0, 1):
            return records, frame.lsn, frames.UNKNOWN_KIND
        if kinds & 1 << frame.kind:
            group = name_of(frame.group)
            records.append(frames.Record(frame.lsn, group, frame.seq, frame.kind, frame.payload))
    if len(records) == max_records:
        return records, end_lsn, frames.END
    return records, end_lsn, {"end": frames.END, "short": frames.SHORT, "bad": frames.BAD}[why]


def expected_frame(data: bytes, lsn: int, limit_lsn: int) -> frames.Record | int:
    """What frame_at should return."""
    frame = decode_one(data, lsn, limit_lsn)
    if isinstance(frame, str):
        return frames.SHORT if frame == "short" else frames.BAD
    if not 1 <= frame.kind <= 9:
        return frames.END if frame.kind >= 0x80 else frames.UNKNOWN_KIND
    if frame.flags not in (0, 1):
        return frames.UNKNOWN_KIND
    return frames.Record(lsn, name_of(frame.group), frame.seq, frame.kind, frame.payload)


def expected_find(
    data: bytes, limit_lsn: int, group: int, seq: int
) -> frames.Record | tuple[int, int]:
    """What find should return: it steps by sizes, and checks only the record that it finds."""
    lsn = FIRST_LSN
    while lsn < limit_lsn:
        rest = data[lsn - FIRST_LSN :]
        # A frame under its right checksum is judged by its sizes and its position alone.
        frame = decode_one(_resealed(rest), lsn, limit_lsn)
        if isinstance(frame, str):
            return lsn, frames.SHORT if frame == "short" else frames.BAD
        if frame.group == group and frame.seq >= seq and frame.kind in RECORD_KINDS:
            if frame.seq > seq:
                return lsn, frames.END
            found = decode_one(rest, lsn, limit_lsn)
            if isinstance(found, str):
                return lsn, frames.BAD
            if found.flags not in (0, 1):
                return lsn, frames.UNKNOWN_KIND
            return frames.Record(lsn, name_of(group), seq, found.kind, found.payload)
        lsn += frame.span
    return lsn, frames.END


def _resealed(data: bytes) -> bytes:
    """Return the frame at the start of some bytes with a right checksum and padding, if it fits."""
    size = int.from_bytes(data[:4], "little")
    span = 32 + -(-(size - 1) // 8) * 8
    if not 1 <= size < 0x80000000 or span > len(data):
        return data
    crc = crc32c.crc32c(data[:4] + data[8 : 31 + size], SALT)
    return data[:4] + crc.to_bytes(4, "little") + data[8 : 31 + size] + bytes(span - 31 - size)


def expected_resync(data: bytes, lsn: int, limit_lsn: int) -> int:
    """What resync should return."""
    for skip in range(-lsn % 8, max(0, len(data) - 31), 8):
        if isinstance(decode_one(data[skip:], lsn + skip, limit_lsn), Frame):
            return lsn + skip
    return -1


def facts_of(survey: frames.Survey) -> Facts:
    return {
        "end_lsn": survey.end_lsn,
        "batch_lsn": survey.batch_lsn,
        "record_count": survey.record_count,
        "digest": survey.digest,
        "proof_lsn": survey.proof_lsn,
        "groups": survey.groups(),
        "points": survey.points(),
        "system": survey.system(),
    }


def groups_of(whole: list[Frame]) -> list[tuple[int, int, int, int]]:
    groups = []
    for group in sorted({f.group for f in whole if f.seq or f.kind in RECORD_KINDS}):
        seqs = [frame.seq for frame in whole if frame.group == group and frame.seq] or [0]
        count = sum(frame.group == group and frame.kind in RECORD_KINDS for frame in whole)
        groups.append((group, min(seqs), max(seqs), count))
    return groups


def points_of(records: list[Frame], stride: int) -> list[tuple[int, int, int]]:
    seen: dict[int, int] = {}
    points = []
    for frame in records:
        if seen.setdefault(frame.group, 0) % stride == 0:
            points.append((frame.group, frame.seq, frame.lsn))
        seen[frame.group] += 1
    return points


def batch_lsn_of(whole: list[Frame], end_lsn: int) -> int:
    lsn = end_lsn
    for frame in reversed(whole):
        if not frame.flags & 1:
            break
        lsn = frame.lsn
    return lsn


def expected_survey(data: bytes, limit_lsn: int, stride: int) -> Facts:
    whole, end_lsn, _ = decode(data, FIRST_LSN, limit_lsn)
    records = [frame for frame in whole if frame.kind in RECORD_KINDS]
    others = [frame for frame in whole if frame.kind not in RECORD_KINDS]
    claims = [f.lsn - 8 * f.distance for f in whole if f.distance != 0xFFFFFFFF]
    return {
        "end_lsn": end_lsn,
        "batch_lsn": batch_lsn_of(whole, end_lsn),
        "record_count": len(records),
        "digest": crc32c.crc32c(data[: end_lsn - FIRST_LSN]),
        "proof_lsn": max([0, *claims]),
        "groups": groups_of(whole),
        "points": points_of(records, stride),
        "system": [
            (f.lsn, f.kind, f.group, f.seq, f.payload if f.kind != 9 else b"") for f in others
        ],
    }
