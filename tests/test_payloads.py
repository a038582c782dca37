"""The payloads of transactions, checkpoints and reverts, byte by byte, and what is none of them."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstore import payloads
from logstore.errors import Corruption, InvalidArgument
from logstore.payloads import (
    EVERY_GROUP,
    CheckpointCommands,
    CheckpointRanges,
    Commit,
    Interval,
)

RANGES = CheckpointRanges(((1, 5), (9, 9)))
RANGES_BYTES = struct.pack("<B7xIIQQQQ", 1, 2, 0, 1, 5, 9, 9)
COMMANDS = CheckpointCommands(4096, 10, ((0, 3), (9, 9)), ((7, 8),))
COMMANDS_BYTES = struct.pack("<B7xQIIIIIIIIQQ", 2, 4096, 10, 2, 0, 3, 9, 9, 1, 0, 7, 8)
EARLIER = Interval(3, 4096, 8192)
REVERT_BYTES = struct.pack("<IIIIQQIIQQ", 2, 0, 3, 0, 4096, 8192, EVERY_GROUP, 0, 4104, 0)


def test_a_part_says_its_transaction_before_the_callers_bytes() -> None:
    payload = payloads.encode_part(4096, b"hello")
    assert payload == struct.pack("<Q", 4096) + b"hello"
    assert payloads.part_transaction(payload) == 4096
    assert payload[payloads.PART_PREFIX_SIZE :] == b"hello"


def test_a_commit_is_three_numbers_and_an_abort_is_one() -> None:
    commit = Commit(4096, 8192, 3)
    assert payloads.encode_commit(commit) == struct.pack("<QQQ", 4096, 8192, 3)
    assert payloads.decode_commit(struct.pack("<QQQ", 4096, 8192, 3)) == commit
    assert payloads.encode_txn_abort(4096) == struct.pack("<Q", 4096)
    assert payloads.decode_txn_abort(struct.pack("<Q", 4096)) == 4096


@pytest.mark.parametrize(
    ("value", "data"),
    [(RANGES, RANGES_BYTES), (COMMANDS, COMMANDS_BYTES)],
    ids=["ranges", "commands"],
)
def test_a_checkpoint_has_these_bytes(value: payloads.Checkpoint, data: bytes) -> None:
    assert payloads.encode_checkpoint(value) == data
    assert payloads.decode_checkpoint(data) == value
    assert payloads.decode_checkpoint(memoryview(data)) == value


def test_a_revert_ends_its_own_interval_where_it_lies() -> None:
    said = [EARLIER, Interval(EVERY_GROUP, 4104, 0)]
    assert payloads.encode_revert(said) == REVERT_BYTES
    found = payloads.decode_revert(REVERT_BYTES, 9000 * 8)
    assert found == (EARLIER, Interval(EVERY_GROUP, 4104, 72000))


@pytest.mark.parametrize(
    ("lsn", "group", "hidden"),
    [(4088, 3, False), (4096, 3, True), (8184, 3, True), (8192, 3, False), (4096, 2, False)],
)
def test_an_interval_hides_its_group_from_its_start_to_before_its_end(
    lsn: int, group: int, hidden: bool
) -> None:
    assert EARLIER.hides(lsn, group) is hidden
    assert Interval(EVERY_GROUP, 4096, 8192).hides(lsn, 7) is (4096 <= lsn < 8192)


def _own(scope: int, from_lsn: int, until_lsn: int = 0, reserved: int = 0) -> bytes:
    return struct.pack("<IIIIQQ", 1, reserved, scope, 0, from_lsn, until_lsn)


def _revert(data: bytes) -> object:
    return payloads.decode_revert(data, 16384)


@pytest.mark.parametrize(
    ("decode", "data"),
    [
        (payloads.part_transaction, b"1234567"),
        (payloads.part_transaction, bytes(8)),
        (payloads.part_transaction, struct.pack("<Q", 4097)),
        (payloads.decode_commit, bytes(23)),
        (payloads.decode_commit, struct.pack("<QQQ", 4096, 4088, 1)),
        (payloads.decode_commit, struct.pack("<QQQ", 4096, 4100, 1)),
        (payloads.decode_commit, struct.pack("<QQQ", 4096, 4096, 0)),
        (payloads.decode_txn_abort, bytes(8)),
        (payloads.decode_txn_abort, struct.pack("<QQ", 4096, 0)),
        (payloads.decode_checkpoint, b""),
        (payloads.decode_checkpoint, b"\3" + RANGES_BYTES[1:]),
        (payloads.decode_checkpoint, b"\1\1" + RANGES_BYTES[2:]),
        (payloads.decode_checkpoint, RANGES_BYTES[:-1]),
        (payloads.decode_checkpoint, RANGES_BYTES + bytes(8)),
        (payloads.decode_checkpoint, struct.pack("<B7xII", 1, 0, 0)),
        (payloads.decode_checkpoint, struct.pack("<B7xIIQQ", 1, 1, 1, 1, 2)),
        (payloads.decode_checkpoint, struct.pack("<B7xIIQQ", 1, 1, 0, 2, 1)),
        (payloads.decode_checkpoint, struct.pack("<B7xIIQQ", 1, 1, 0, 0, 1)),
        (payloads.decode_checkpoint, struct.pack("<B7xIIQQ", 1, 2**32 - 1, 0, 1, 1)),
        (payloads.decode_checkpoint, COMMANDS_BYTES[:30]),
        (payloads.decode_checkpoint, COMMANDS_BYTES.replace(b"\x0a", b"\x09")),
        (payloads.decode_checkpoint, struct.pack("<B7xQIIIIII", 2, 1, 1, 1, 0, 0, 0, 0)),
        (payloads.decode_checkpoint, struct.pack("<B7xQIIIIQQ", 2, 1, 1, 0, 1, 0, 1, 1)),
        (_revert, bytes(8)),
        (_revert, REVERT_BYTES[:-1]),
        (_revert, REVERT_BYTES[:4]),
        (_revert, _own(EVERY_GROUP, 16392)),
        (_revert, _own(EVERY_GROUP, 0)),
        (_revert, _own(EVERY_GROUP, 4100)),
        (_revert, _own(65536, 4096)),
        (_revert, _own(0, 4096, 8192)),
        (_revert, _own(0, 4096, 0, 1)),
    ],
)
def test_what_cannot_have_been_encoded_is_corruption(
    decode: Callable[[bytes], object], data: bytes
) -> None:
    with pytest.raises(Corruption):
        decode(data)


@pytest.mark.parametrize(
    "value",
    [
        CheckpointRanges(()),
        CheckpointRanges(((0, 1),)),
        CheckpointRanges(((2, 1),)),
        CheckpointRanges(((1, 2**64),)),
        CheckpointCommands(0, 1, ((0, 0),), ((1, 1),)),
        CheckpointCommands(1, 1, ((0, 1),), ((1, 1),)),
        CheckpointCommands(1, 1, (), ((1, 1),)),
        CheckpointCommands(1, 1, ((0, 0),), ()),
    ],
)
def test_a_checkpoint_that_makes_no_sense_is_not_encoded(value: payloads.Checkpoint) -> None:
    with pytest.raises(InvalidArgument):
        payloads.encode_checkpoint(value)


@given(st.binary(max_size=96), st.integers(0, 2))
def test_any_bytes_are_a_checkpoint_with_just_these_bytes_or_corruption(
    data: bytes, operation: int
) -> None:
    data = bytes([operation]) + bytes(7) + data
    try:
        value = payloads.decode_checkpoint(data)
    except Corruption:
        return
    assert payloads.encode_checkpoint(value) == data


def ordered(pair: tuple[int, int]) -> tuple[int, int]:
    return min(pair), max(pair)


numbers = st.integers(1, 2**64 - 1)
ranges = st.lists(st.tuples(numbers, numbers).map(ordered), min_size=1, max_size=5)


@given(ranges.map(tuple), st.data())
def test_any_checkpoint_is_read_back(
    covered: tuple[tuple[int, int], ...], data: st.DataObject
) -> None:
    said: payloads.Checkpoint = CheckpointRanges(covered)
    assert payloads.decode_checkpoint(payloads.encode_checkpoint(said)) == said
    total = data.draw(st.integers(1, 2**32 - 1))
    index = st.integers(0, total - 1)
    done = data.draw(st.lists(st.tuples(index, index).map(ordered), min_size=1))
    said = CheckpointCommands(data.draw(numbers), total, tuple(done), covered)
    assert payloads.decode_checkpoint(payloads.encode_checkpoint(said)) == said
