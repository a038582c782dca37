"""The payloads of frames."""

from __future__ import annotations

from tests.hostile.decoders.verdicts import Corrupt, pairs, require, take

EVERY_GROUP = 0xFFFFFFFF


def _place(lsn: int) -> int:
    require(lsn > 0 and lsn % 8 == 0, "no position")
    return lsn


def part(payload: bytes, lsn: int) -> object:
    """Return the transaction of a part."""
    (number,), _ = take(payload, "<Q", 0)
    return _place(number)


def commit(payload: bytes, lsn: int) -> object:
    """Return (transaction, last part, count of parts)."""
    fields, end = take(payload, "<QQQ", 0)
    require(end == len(payload), "too long")
    require(_place(fields[0]) <= _place(fields[1]) and fields[2] > 0, "contradicts itself")
    return fields


def txn_abort(payload: bytes, lsn: int) -> object:
    """Return the transaction that came to nothing."""
    require(len(payload) == 8, "not 8 bytes")
    return part(payload, lsn)


def mark(payload: bytes, lsn: int) -> object:
    """Return (time, synced)."""
    fields, end = take(payload, "<QQ", 0)
    require(end == len(payload), "too long")
    return fields


def checkpoint(payload: bytes, lsn: int) -> object:
    """Return (1, ranges) or (2, key, total, done, covered)."""
    require(len(payload) >= 8 and not any(payload[1:8]), "no operation")
    operation, offset = payload[0], 8
    require(operation in (1, 2), "an unknown operation")
    key = total = 0
    done: list[tuple[int, int]] = []
    if operation == 2:
        (key, total, count), offset = take(payload, "<QII", offset)
        done, offset = pairs(payload, offset, count, "<II")
    (count, free), offset = take(payload, "<II", offset)
    ranges, offset = pairs(payload, offset, count)
    require(not free and offset == len(payload), "does not fill its payload")
    require(bool(ranges) and all(1 <= a <= b for a, b in ranges), "ranges of no seqs")
    if operation == 1:
        return 1, ranges
    require(key >= 1 and bool(done), "says nothing")
    require(all(a <= b < total for a, b in done), "ranges of no commands")
    return 2, key, total, done, ranges


def intervals(rows: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Check stretches of the log that are hidden."""
    for scope, first, until in rows:
        require(scope <= 0xFFFF or scope == EVERY_GROUP, "no group")
        require(first % 8 == 0 and until % 8 == 0 and 0 < first <= until, "no stretch")
    return rows


def revert(payload: bytes, lsn: int) -> object:
    """Return (scope, from, until) of every interval, the frame's own last."""
    (count, free), offset = take(payload, "<II", 0)
    require(count > 0 and not free and len(payload) == 8 + 24 * count, "not of its size")
    rows = []
    for _ in range(count):
        (scope, _, first, until), offset = take(payload, "<IIQQ", offset)
        rows.append((scope, first, until or lsn))
    require(rows[-1][2] == lsn, "its own comes last")
    require(all(until < lsn for *_, until in rows[:-1]), "an earlier one is not earlier")
    return intervals(rows)


def group_name(payload: bytes, lsn: int) -> object:
    """Return the name."""
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise Corrupt("no text") from error


PAYLOADS = (part, commit, txn_abort, checkpoint, revert, mark, group_name)
