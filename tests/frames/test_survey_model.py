"""Survey against the reference decoder, fed whole and fed in pieces."""

from __future__ import annotations

import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from logstore import frames
from tests.frames.reference import FIRST_LSN, SALT, Frame, decode
from tests.frames.strategies import damaged, logs

RECORD_KINDS = (1, 2)

Facts = dict[str, object]


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


def expected(data: bytes, limit_lsn: int, stride: int) -> Facts:
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
    assert facts_of(at_once) == expected(stored, limit_lsn, stride)

    in_pieces = frames.Survey(FIRST_LSN, SALT, stride)
    lsn, verdict = in_pieces.feed(b"", limit_lsn)
    for end in sorted(data.draw(st.lists(st.integers(0, len(stored)), max_size=6))):
        lsn, verdict = in_pieces.feed(stored[lsn - FIRST_LSN : end], limit_lsn)
    lsn, verdict = in_pieces.feed(stored[lsn - FIRST_LSN :], limit_lsn)
    assert (lsn, verdict) == fed
    assert facts_of(in_pieces) == facts_of(at_once)
