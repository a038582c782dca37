"""Finding frames again behind damage."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logstore import frames
from tests.frames.reference import FIRST_LSN, SALT, Frame, decode_one, encode_all, lay_out
from tests.frames.strategies import damaged, logs

THREE = lay_out([Frame(b"one"), Frame(b"two"), Frame(b"three")])
DATA = encode_all(THREE)
END_LSN = FIRST_LSN + len(DATA)


def test_a_valid_frame_at_the_start_is_found_there() -> None:
    assert frames.resync(DATA, FIRST_LSN, SALT, END_LSN) == FIRST_LSN


def test_the_next_frame_behind_a_damaged_one_is_found() -> None:
    for position in range(THREE[0].span):
        damaged_data = bytearray(DATA)
        damaged_data[position] ^= 0xFF
        assert frames.resync(damaged_data, FIRST_LSN, SALT, END_LSN) == THREE[1].lsn, position


@pytest.mark.parametrize("skipped", range(1, 41))
def test_a_buffer_may_begin_anywhere(skipped: int) -> None:
    found = frames.resync(DATA[skipped:], FIRST_LSN + skipped, SALT, END_LSN)
    assert found == THREE[1].lsn


def test_nothing_is_found_among_zeros_or_in_tiny_buffers() -> None:
    assert frames.resync(bytes(4096), FIRST_LSN, SALT, 2**63) == -1
    for length in range(40):
        assert frames.resync(DATA[:length], FIRST_LSN, SALT, END_LSN) == -1
        assert frames.resync(DATA[:length], FIRST_LSN + 1, SALT, END_LSN) == -1


def test_a_frame_that_the_end_or_the_limit_cuts_is_not_found() -> None:
    first = THREE[0].span
    assert frames.resync(DATA[: first - 1], FIRST_LSN, SALT, END_LSN) == -1
    assert frames.resync(DATA, FIRST_LSN, SALT, FIRST_LSN + first - 1) == -1
    assert frames.resync(DATA, FIRST_LSN, SALT, FIRST_LSN + first) == FIRST_LSN


def test_a_frame_that_lies_elsewhere_is_not_found() -> None:
    assert frames.resync(bytes(8) + DATA, FIRST_LSN, SALT, 2**63) == -1
    assert frames.resync(DATA, FIRST_LSN, SALT ^ 1, 2**63) == -1


def test_a_frame_inside_a_payload_is_found_only_if_it_lies_at_its_own_lsn() -> None:
    stray = Frame(Frame(b"inner", lsn=FIRST_LSN).encode()).encode()
    nested = Frame(Frame(b"inner", lsn=FIRST_LSN + 32).encode()).encode()
    for data, found in ((stray, -1), (nested, FIRST_LSN + 32)):
        damaged_data = bytearray(data)
        damaged_data[4] ^= 1
        assert frames.resync(damaged_data, FIRST_LSN, SALT, 2**63) == found


@settings(deadline=None)
@given(st.data(), logs, st.integers(0, 64), st.integers(0, 600))
def test_the_first_frame_is_found_that_the_reference_accepts(
    data: st.DataObject, log: list[Frame], skipped: int, room: int
) -> None:
    stored = data.draw(damaged(log))[skipped:]
    lsn = FIRST_LSN + skipped
    limit_lsn = lsn + room
    positions = [at for at in range(len(stored)) if (lsn + at) % 8 == 0]
    valid = [
        lsn + at
        for at in positions
        if isinstance(decode_one(stored[at:], lsn + at, limit_lsn), Frame)
    ]
    assert frames.resync(stored, lsn, SALT, limit_lsn) == (valid[0] if valid else -1)
