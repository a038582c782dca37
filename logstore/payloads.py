"""The payloads of frames that say something about records: in bytes and as values. Pure.

Parts, commits and aborts of transactions, checkpoints, reverts. All numbers are little-endian.
Bytes from a log are never trusted: what `encode` cannot have made raises `Corruption`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

from logstore.errors import Corruption, InvalidArgument
from logstore.lsn import ALIGNMENT

EVERY_GROUP: Final = 0xFFFFFFFF
"""The scope of an interval that hides the records of all groups."""

_ID: Final = struct.Struct("<Q")
_COMMIT: Final = struct.Struct("<QQQ")
_OPERATION: Final = struct.Struct("<B7s")
_COUNT: Final = struct.Struct("<II")
_COMMANDS: Final = struct.Struct("<QII")
_PAIR: Final = struct.Struct("<QQ")
_SHORT_PAIR: Final = struct.Struct("<II")
_INTERVAL: Final = struct.Struct("<IIQQ")

_RANGES_OPERATION: Final = 1
_COMMANDS_OPERATION: Final = 2

PART_PREFIX_SIZE: Final = _ID.size
"""Bytes of a part's payload before the caller's own."""

Range: TypeAlias = tuple[int, int]
"""A closed range: the first and the last number of it."""


class Commit(NamedTuple):
    """What a commit frame says: the records of these parts are visible from here on."""

    transaction: int
    last_part_lsn: int
    part_count: int


class CheckpointRanges(NamedTuple):
    """What a checkpoint frame says: nobody needs the records with these seqs any more."""

    ranges: tuple[Range, ...]


class CheckpointCommands(NamedTuple):
    """What a checkpoint frame says of a record or a transaction that holds several commands.

    Attributes:
        key: The seq of the record, or the id of the transaction.
        total: How many commands there are.
        done: Ranges of their indexes, from 0, that are done.
        covered: Ranges of seqs that count as checkpointed once all commands are done. Every
            frame about one key says the same.
    """

    key: int
    total: int
    done: tuple[Range, ...]
    covered: tuple[Range, ...]


Checkpoint: TypeAlias = CheckpointRanges | CheckpointCommands


class Interval(NamedTuple):
    """A stretch of the log that a revert has hidden: from one LSN up to another, exclusive.

    Attributes:
        scope: The id of the group whose frames are hidden, or `EVERY_GROUP`.
        from_lsn: The first position that is hidden.
        until_lsn: The revert frame, which ends it.
    """

    scope: int
    from_lsn: int
    until_lsn: int

    def hides(self, lsn: int, group: int) -> bool:
        """Tell whether the frame of this group at this position is hidden.

        Commits are of no group: they are hidden with `EVERY_GROUP`, and then only.
        """
        return self.from_lsn <= lsn < self.until_lsn and self.scope in (EVERY_GROUP, group)


# Transactions.


def encode_part(transaction: int, payload: bytes) -> bytes:
    """Return the payload of a TXN_PART frame; the id is the LSN of the first part."""
    return _ID.pack(transaction) + payload


def part_transaction(payload: bytes | memoryview) -> int:
    """Return the id of the transaction that a TXN_PART frame belongs to.

    The caller's own bytes follow behind `PART_PREFIX_SIZE`.

    Raises:
        Corruption: There is none.
    """
    if len(payload) < _ID.size:
        raise Corruption("a part of a transaction does not say which")
    return _position(_ID.unpack_from(payload)[0], "a transaction")


def encode_commit(commit: Commit) -> bytes:
    """Return the payload of a TXN_COMMIT frame."""
    return _COMMIT.pack(*commit)


def decode_commit(payload: bytes | memoryview) -> Commit:
    """Read the payload of a TXN_COMMIT frame.

    Raises:
        Corruption: It is none.
    """
    if len(payload) != _COMMIT.size:
        raise Corruption(f"the payload of a commit has {len(payload)} bytes, not {_COMMIT.size}")
    commit = Commit(*_COMMIT.unpack(payload))
    _position(commit.transaction, "a transaction")
    _position(commit.last_part_lsn, "a part")
    if commit.last_part_lsn < commit.transaction or not commit.part_count:
        raise Corruption("the fields of a commit contradict each other")
    return commit


def encode_txn_abort(transaction: int) -> bytes:
    """Return the payload of a TXN_ABORT frame."""
    return _ID.pack(transaction)


def decode_txn_abort(payload: bytes | memoryview) -> int:
    """Return the id of the transaction that a TXN_ABORT frame ends.

    Raises:
        Corruption: It has not 8 bytes, or no transaction can have that id.
    """
    if len(payload) != _ID.size:
        raise Corruption(f"the payload of an abort has {len(payload)} bytes, not {_ID.size}")
    return _position(_ID.unpack(payload)[0], "a transaction")


# Checkpoints.


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """Return the payload of a CHECKPOINT frame.

    Raises:
        InvalidArgument: A range is backwards or out of bounds, or there is nothing to say.
    """
    try:
        _check(checkpoint)
    except Corruption as error:
        raise InvalidArgument(error.message) from error
    if isinstance(checkpoint, CheckpointRanges):
        head = _OPERATION.pack(_RANGES_OPERATION, b"")
        return head + _encode_pairs(_PAIR, checkpoint.ranges)
    head = _OPERATION.pack(_COMMANDS_OPERATION, b"")
    done = b"".join(_SHORT_PAIR.pack(*one) for one in checkpoint.done)
    counts = _COMMANDS.pack(checkpoint.key, checkpoint.total, len(checkpoint.done))
    return head + counts + done + _encode_pairs(_PAIR, checkpoint.covered)


def decode_checkpoint(payload: bytes | memoryview) -> Checkpoint:
    """Read the payload of a CHECKPOINT frame.

    Raises:
        Corruption: `encode_checkpoint` cannot have made it.
    """
    try:
        operation, reserved = _OPERATION.unpack_from(payload)
        if operation not in (_RANGES_OPERATION, _COMMANDS_OPERATION) or any(reserved):
            raise Corruption(f"a checkpoint of kind {operation} is not known here")
        checkpoint: Checkpoint
        if operation == _RANGES_OPERATION:
            ranges, offset = _pairs(payload, _OPERATION.size)
            checkpoint = CheckpointRanges(ranges)
        else:
            key, total, count = _COMMANDS.unpack_from(payload, _OPERATION.size)
            offset = _OPERATION.size + _COMMANDS.size
            done, offset = _take(_SHORT_PAIR, payload, offset, count)
            covered, offset = _pairs(payload, offset)
            checkpoint = CheckpointCommands(key, total, done, covered)
    except struct.error as error:
        raise Corruption(f"a checkpoint is cut off: {error}") from error
    if offset != len(payload):
        raise Corruption("a checkpoint does not fill its payload")
    _check(checkpoint)
    return checkpoint


def _check(checkpoint: Checkpoint) -> None:
    if isinstance(checkpoint, CheckpointRanges):
        _check_ranges(checkpoint.ranges, 1)
        return
    _check_ranges(checkpoint.done, 0)
    _check_ranges(checkpoint.covered, 1)
    if checkpoint.key < 1 or any(last >= checkpoint.total for _, last in checkpoint.done):
        raise Corruption("the fields of a checkpoint of commands contradict each other")


def _check_ranges(ranges: tuple[Range, ...], lowest: int) -> None:
    if not ranges:
        raise Corruption("a checkpoint says nothing")
    if not all(lowest <= first <= last < 2**64 for first, last in ranges):
        raise Corruption("a range of a checkpoint is backwards or begins too low")


# Reverts.


def encode_revert(intervals: Iterable[Interval]) -> bytes:
    """Return the payload of a REVERT frame: earlier intervals, then its own with `until_lsn` 0.

    Its own ends at the frame itself, whose LSN is not known before it is reserved.
    """
    listed = tuple(intervals)
    parts = [_INTERVAL.pack(one.scope, 0, one.from_lsn, one.until_lsn) for one in listed]
    return _COUNT.pack(len(listed), 0) + b"".join(parts)


def decode_revert(payload: bytes | memoryview, lsn: int) -> tuple[Interval, ...]:
    """Read the payload of the REVERT frame at `lsn`: all intervals that are hidden from there on.

    Raises:
        Corruption: `encode_revert` cannot have made it for a frame there.
    """
    try:
        count, reserved = _COUNT.unpack_from(payload)
    except struct.error as error:
        raise Corruption("a revert is cut off") from error
    if not count or reserved or len(payload) != _COUNT.size + count * _INTERVAL.size:
        raise Corruption("the size of a revert is not that of its intervals")
    intervals = [
        Interval(scope, from_lsn, until_lsn or lsn)
        for scope, _, from_lsn, until_lsn in _INTERVAL.iter_unpack(payload[_COUNT.size :])
    ]
    own = intervals[-1]
    if own.until_lsn != lsn or any(one.until_lsn >= lsn for one in intervals[:-1]):
        raise Corruption("the last interval of a revert is not its own")
    check_intervals(intervals)
    return tuple(intervals)


def check_intervals(intervals: Iterable[Interval]) -> None:
    """Refuse intervals that no revert can have made.

    Raises:
        Corruption: One is backwards, not aligned, or of a group that cannot be.
    """
    for scope, from_lsn, until_lsn in intervals:
        aligned = not (from_lsn % ALIGNMENT or until_lsn % ALIGNMENT)
        if not (aligned and 0 < from_lsn <= until_lsn):
            raise Corruption("an interval of a revert is no stretch of the log")
        if scope > 0xFFFF and scope != EVERY_GROUP:
            raise Corruption(f"a revert hides group {scope}, and there cannot be one")


# Pieces.


def _position(lsn: int, what: str) -> int:
    if lsn == 0 or lsn % ALIGNMENT:
        raise Corruption(f"{what} cannot be at LSN {lsn}")
    return lsn


def _encode_pairs(layout: struct.Struct, pairs: tuple[Range, ...]) -> bytes:
    return _COUNT.pack(len(pairs), 0) + b"".join(layout.pack(*pair) for pair in pairs)


def _pairs(payload: bytes | memoryview, offset: int) -> tuple[tuple[Range, ...], int]:
    count, reserved = _COUNT.unpack_from(payload, offset)
    if reserved:
        raise Corruption("a word that is kept free in a checkpoint is not")
    return _take(_PAIR, payload, offset + _COUNT.size, count)


def _take(
    layout: struct.Struct, payload: bytes | memoryview, offset: int, count: int
) -> tuple[tuple[Range, ...], int]:
    end = offset + count * layout.size
    if end > len(payload):
        raise Corruption("the ranges of a checkpoint are cut off")
    return tuple(layout.iter_unpack(payload[offset:end])), end
