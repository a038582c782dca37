"""Survey against the reference decoder, fed whole and fed in pieces."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from logstore import frames
from tests.frames.expecting import expected_survey, facts_of
from tests.frames.reference import FIRST_LSN, SALT, Frame
from tests.frames.strategies import damaged, logs


@settings(deadline=None)
@given(st.data(), logs, st.integers(1, 4))
def test_a_survey_agrees_with_the_reference_whole_and_in_pieces(
    data: st.DataObject, log: list[Frame], stride: int
) -> None:
    stored = data.draw(damaged(log))
    room = data.draw(st.one_of(st.just(len(stored)), st.integers(0, len(stored) + 64)))
    limit_lsn = FIRST_LSN + room

    at_once = frames.Survey(FIRST_LSN, SALT, stride)
    fed = at_once.feed(stored, limit_lsn)
    assert facts_of(at_once) == expected_survey(stored, limit_lsn, stride)

    in_pieces = frames.Survey(FIRST_LSN, SALT, stride)
    lsn, verdict = in_pieces.feed(b"", limit_lsn)
    for end in sorted(data.draw(st.lists(st.integers(0, len(stored)), max_size=6))):
        lsn, verdict = in_pieces.feed(stored[lsn - FIRST_LSN : end], limit_lsn)
    lsn, verdict = in_pieces.feed(stored[lsn - FIRST_LSN :], limit_lsn)
    assert (lsn, verdict) == fed
    assert facts_of(in_pieces) == facts_of(at_once)
