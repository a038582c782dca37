"""scan against the reference decoder, on logs that damage has gone over."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from logstore import frames
from tests.frames.expecting import NAMES, expected_scan
from tests.frames.reference import FIRST_LSN, SALT, Frame, decode, lay_out
from tests.frames.strategies import damaged, logs


@settings(deadline=None)
@given(st.data(), logs, st.integers(0, 2**10 - 1), st.integers(0, 12), st.booleans())
@example(None, lay_out([Frame(b"12345678")]), 2, 1, True)
def test_scan_agrees_with_the_reference(
    data: st.DataObject | None, log: list[Frame], kinds: int, max_records: int, copy: bool
) -> None:
    if data is None:
        stored, room = b"".join(frame.encode() for frame in log), 40
    else:
        stored = data.draw(damaged(log))
        room = data.draw(st.one_of(st.just(len(stored)), st.integers(0, len(stored) + 64)))
    limit_lsn = FIRST_LSN + room
    scanned = frames.scan(
        stored, FIRST_LSN, SALT, limit_lsn, NAMES, kinds=kinds, copy=copy, max_records=max_records
    )
    assert scanned == expected_scan(stored, limit_lsn, kinds, max_records)


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_any_bytes_at_all_are_judged_as_the_reference_does(
    data: bytes, lsn: int, limit_lsn: int
) -> None:
    whole, next_lsn, why = decode(data, lsn, limit_lsn)
    verdict = {"end": frames.END, "short": frames.SHORT, "bad": frames.BAD}[why]
    scanned = frames.scan(data, lsn, SALT, limit_lsn, NAMES, kinds=0)
    assert (whole, scanned) == ([], ([], next_lsn, verdict))
