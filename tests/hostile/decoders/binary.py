"""Headers and footers of segments, and snapshots."""

from __future__ import annotations

from crc32c import crc32c

from tests.hostile.decoders.payloads import intervals
from tests.hostile.decoders.verdicts import (
    Corrupt,
    Newer,
    holds,
    number_set,
    pairs,
    piece,
    require,
    take,
)

HIGHEST_LSN = 2**63 - 8
Sections = list[tuple[int, bytes]]


def header(data: bytes) -> object:
    """Return the fields of a segment's header, in their order."""
    require(len(data) >= 4096 and data[:8] == b"LOGSTSEG", "no segment")
    (stored,), _ = take(data, "<I", 4092)
    require(stored == crc32c(data[:4092]), "the checksum is wrong")
    (version, zero, incompatible, read_only, compatible), _ = take(data, "<HHIII", 8)
    if version != 1 or incompatible:
        raise Newer
    (epoch, salt, digest, base, previous_end, created), _ = take(data, "<QIIQQQ", 40)
    require(base % 8 == 0 and 4096 <= base <= HIGHEST_LSN, "no place for a segment")
    require(not zero and previous_end <= base, "contradicts itself")
    return (
        data[24:40],
        epoch,
        salt,
        digest,
        base,
        previous_end,
        created,
        read_only,
        compatible,
        stored,
    )


def footer(data: bytes) -> tuple[tuple[object, ...], dict[int, bytes]]:
    """Return (base, end, records, digest, groups, times), and the bytes of every section."""
    require(len(data) >= 72 and data[:8] == b"LSFOOTER", "no footer")
    (stored,), _ = take(data, "<I", len(data) - 4)
    require(stored == crc32c(data[:-4]), "the checksum is wrong")
    trailer = data[-64:]
    (base, end, records, length, digest), _ = take(trailer, "<QQQQI", 8)
    require(trailer[:8] == b"LSTRAILR" and length == len(data), "no trailer")
    require(base % 8 == 0 and end % 8 == 0, "no positions")
    sections = _sections(data[8:-64])
    found = dict(sections)
    require(len(found) == len(sections), "a section comes twice")
    groups = _groups(found[1]) if 1 in found else []
    times = found.get(2, b"")
    readings, _ = pairs(times, 0, len(times) // 16)
    require(len(times) % 16 == 0, "half a time")
    return (base, end, records, digest, groups, readings), found


def _sections(data: bytes) -> Sections:
    offset, found = 0, []
    while offset < len(data):
        (kind, flags, length), offset = take(data, "<HHI", offset)
        padded, offset = piece(data, offset, (length + 7) // 8 * 8)
        if kind not in range(1, 6) and not flags & 1:
            raise Newer
        found.append((kind, padded[:length]))
    return found


def _groups(data: bytes) -> list[object]:
    (count, _), offset = take(data, "<II", 0)
    rows: list[object] = []
    before = -1
    for _ in range(count):
        (number, name_length, points, first, last, records), offset = take(data, "<HHIQQQ", offset)
        padded, offset = piece(data, offset, (name_length + 7) // 8 * 8)
        listed, offset = pairs(data, offset, points)
        try:
            name = padded[:name_length].decode()
        except UnicodeDecodeError as error:
            raise Corrupt("no text") from error
        require(before < number, "not in order")
        before = number
        rows.append((number, name, first, last, records, listed))
    require(offset == len(data), "longer than what it says")
    return rows


def checkpoints(data: bytes) -> object:
    """Return what section 3 says: (checkpointed, told, partial)."""
    (groups, partials), offset = take(data, "<II", 0)
    done: dict[int, list[tuple[int, int]]] = {}
    told: dict[int, int] = {}
    for _ in range(groups):
        (group, free, newest), offset = take(data, "<IIQ", offset)
        seqs, offset = number_set(data, offset)
        require(not free and max(done, default=-1) < group <= 0xFFFF and bool(seqs), "not in order")
        require(not newest or holds(seqs, newest), "told, and not checkpointed")
        done[group] = seqs
        told.update({group: newest} if newest else {})
    partial: dict[tuple[int, int], object] = {}
    for _ in range(partials):
        (group, total, key), offset = take(data, "<IIQ", offset)
        indexes, offset = number_set(data, offset)
        covered, offset = number_set(data, offset)
        require(group <= 0xFFFF, "no group")
        require(max(partial, default=(-1, -1)) < (group, key) and bool(covered), "not in order")
        partial[group, key] = (total, indexes, covered)
    require(offset == len(data), "longer than what it says")
    return done, told, partial


def transactions(data: bytes) -> object:
    """Return what section 4 says: (epoch, rows)."""
    (epoch, count, free), offset = take(data, "<QII", 0)
    rows: list[object] = []
    before = 0
    for _ in range(count):
        (number, last, parts, commit, groups, zero), offset = take(data, "<QQQQII", offset)
        sets: dict[int, object] = {}
        for _ in range(groups):
            (group, none), offset = take(data, "<II", offset)
            seqs, offset = number_set(data, offset)
            require(not none and max(sets, default=-1) < group <= 0xFFFF, "not in order")
            require(bool(seqs), "an empty set")
            sets[group] = seqs
        require(before < number <= last and not zero, "not in order")
        require(number % 8 == last % 8 == commit % 8 == 0, "no positions")
        before = number
        rows.append((number, last, parts, commit, sets))
    require(not free and offset == len(data), "longer than what it says")
    return epoch, rows


def reverts(data: bytes) -> object:
    """Return what section 5 says: (newest, intervals)."""
    (newest, count, free), offset = take(data, "<QII", 0)
    require(not free and len(data) == 16 + 24 * count, "not of its size")
    rows = []
    for _ in range(count):
        (scope, _, first, until), offset = take(data, "<IIQQ", offset)
        rows.append((scope, first, until))
    require(newest > 0 and newest % 8 == 0, "no position")
    require(all(until <= newest for *_, until in rows), "ends behind the newest")
    return newest, intervals(rows)


def snapshot(data: bytes) -> object:
    """Return (resume LSN, applied, state)."""
    require(len(data) >= 28, "too short")
    (stored,), _ = take(data, "<I", len(data) - 4)
    body = data[:-4]
    require(stored == crc32c(body) and body[:8] == b"LOGSTSNP", "no snapshot")
    (resume, length), offset = take(body, "<QQ", 8)
    held, end = piece(body, offset, length)
    applied, filled = number_set(held, 0)
    require(filled == length, "longer than what it says")
    require(resume % 8 == 0 and resume <= HIGHEST_LSN, "no position")
    return resume, applied, body[end:]
