"""What a Survey gathers from a range of frames."""

from __future__ import annotations

import struct

import crc32c
import pytest

from logstore import frames
from tests.frames.reference import FIRST_LSN, SALT, Frame, encode_all, lay_out


def survey(log: list[Frame] | bytes, stride: int = 64, limit_lsn: int = 2**63) -> frames.Survey:
    made = frames.Survey(FIRST_LSN, SALT, stride)
    made.feed(log if isinstance(log, bytes) else encode_all(log), limit_lsn)
    return made


def test_a_survey_of_nothing_is_empty() -> None:
    made = frames.Survey(FIRST_LSN, SALT)
    assert (made.end_lsn, made.batch_lsn) == (FIRST_LSN, FIRST_LSN)
    assert (made.record_count, made.digest, made.proof_lsn) == (0, 0, 0)
    assert (made.groups(), made.points(), made.system()) == ([], [], [])


@pytest.mark.parametrize(
    ("tail", "room", "verdict"),
    [
        (b"", 0, frames.END),
        (b"", 1, frames.BAD),
        (b"", 31, frames.BAD),
        (b"", 32, frames.SHORT),
        (bytes(31), 32, frames.SHORT),
        (bytes(32), 32, frames.BAD),
        (bytes(32), 0, frames.END),
    ],
)
def test_a_survey_says_why_it_stopped(tail: bytes, room: int, verdict: int) -> None:
    made = frames.Survey(FIRST_LSN, SALT)
    fed = made.feed(Frame(b"a").encode() + tail, limit_lsn=FIRST_LSN + 40 + room)
    assert fed == (made.end_lsn, verdict) == (FIRST_LSN + 40, verdict)


def test_the_range_of_a_group_is_over_all_seqs_and_its_count_over_records() -> None:
    log = lay_out(
        [
            Frame(b"", kind=frames.ABORT, group=3, seq=4),
            Frame(b"", kind=frames.DATA, group=3, seq=5),
            Frame(b"", kind=frames.TXN_PART, group=3, seq=6),
            Frame(b"", kind=frames.TXN_COMMIT, group=3, seq=7),
            Frame(b"", kind=frames.DATA, group=0, seq=2**64 - 1),
            Frame(b"", kind=frames.CHECKPOINT, group=65535, seq=1),
            Frame(b"", kind=frames.MARK, group=0, seq=0),
            Frame(b"name", kind=frames.GROUP_NAME, group=9, seq=0),
        ]
    )
    made = survey(log)
    assert made.groups() == [(0, 2**64 - 1, 2**64 - 1, 1), (3, 4, 7, 2), (65535, 1, 1, 0)]
    assert made.record_count == 3


@pytest.mark.parametrize("stride", [1, 2, 3, 64])
def test_every_stride_th_record_of_each_group_is_a_point(stride: int) -> None:
    log = lay_out([Frame(b"", group=i % 2, seq=100 + i // 2) for i in range(300)])
    expected = [
        (frame.group, frame.seq, frame.lsn) for frame in log if (frame.seq - 100) % stride == 0
    ]
    assert survey(log, stride).points() == expected


def test_the_stride_is_64_unless_told_otherwise() -> None:
    log = lay_out([Frame(b"", seq=seq) for seq in range(1, 200)])
    made = frames.Survey(FIRST_LSN, SALT)
    made.feed(encode_all(log), 2**63)
    assert [seq for _, seq, _ in made.points()] == [1, 65, 129, 193]


def test_a_record_without_seq_is_counted_and_moves_no_range() -> None:
    log = lay_out([Frame(b"", seq=seq) for seq in (5, 6, 0)])
    assert survey(log).groups() == [(0, 5, 6, 3)]
    assert survey(lay_out([Frame(b"", seq=0)])).groups() == [(0, 0, 0, 1)]


def test_only_records_are_points() -> None:
    log = lay_out([Frame(b"", kind=kind, seq=kind) for kind in range(1, 10)])
    assert [seq for _, seq, _ in survey(log, stride=1).points()] == [1, 2]


def test_every_other_frame_is_listed_with_its_payload() -> None:
    marked = struct.pack("<QQ", 1, 2)
    log = lay_out(
        [
            Frame(b"data"),
            Frame(marked, kind=frames.MARK, seq=0),
            Frame(b"orders", kind=frames.GROUP_NAME, group=1, seq=0),
            Frame(b"part", kind=frames.TXN_PART, group=1),
            Frame(b"commit", kind=frames.TXN_COMMIT, group=1, seq=2),
            Frame(bytes(100), kind=frames.ABORT, group=1, seq=3),
            Frame(b"", kind=77, group=2, seq=4),
            Frame(b"odd", kind=0xF0, group=2, seq=5, flags=frames.COMPRESSED),
        ]
    )
    assert survey(log).system() == [
        (log[1].lsn, frames.MARK, 0, 0, marked),
        (log[2].lsn, frames.GROUP_NAME, 1, 0, b"orders"),
        (log[4].lsn, frames.TXN_COMMIT, 1, 2, b"commit"),
        (log[5].lsn, frames.ABORT, 1, 3, b""),
        (log[6].lsn, 77, 2, 4, b""),
        (log[7].lsn, 0xF0, 2, 5, b"odd"),
    ]


def test_a_finished_batch_leaves_nothing_open() -> None:
    log = lay_out([Frame(b"", flags=1), Frame(b"", flags=1), Frame(b"", flags=0)])
    made = survey(log)
    assert made.batch_lsn == made.end_lsn == log[2].lsn + 32


@pytest.mark.parametrize("kept", [2, 3])
def test_an_unfinished_batch_is_told_by_where_it_starts(kept: int) -> None:
    log = lay_out([Frame(b"a"), Frame(b"b", flags=1), Frame(b"c", flags=1), Frame(b"d")])
    made = survey(log[:kept])
    assert made.batch_lsn == log[1].lsn
    assert made.end_lsn == log[kept].lsn
    made.feed(encode_all(log[kept:]), 2**63)
    assert made.batch_lsn == made.end_lsn


def test_the_digest_covers_every_byte_to_the_end() -> None:
    log = lay_out([Frame(bytes(range(n)), kind=1 + n % 9) for n in range(60)])
    data = encode_all(log)
    assert survey(data + bytes(64)).digest == crc32c.crc32c(data)


@pytest.mark.parametrize(
    ("distances", "proof_lsn"),
    [
        ([0xFFFFFFFF, 0xFFFFFFFF], 0),
        ([0, 0xFFFFFFFF], FIRST_LSN),
        ([0, 0], FIRST_LSN + 32),
        ([0, 5], FIRST_LSN),
        ([6, 5], FIRST_LSN - 8),
        ([512, 0xFFFFFFFF], 0),
        ([513, 0xFFFFFFFE], 0),
    ],
)
def test_the_proof_is_the_greatest_claim(distances: list[int], proof_lsn: int) -> None:
    log = lay_out([Frame(b"", distance=distance) for distance in distances])
    assert survey(log).proof_lsn == proof_lsn


@pytest.mark.parametrize("above", [0, 8, 1 << 40])
def test_no_claim_proves_nothing_however_far_the_log_has_grown(above: int) -> None:
    lsn = 8 * 0xFFFFFFFF + above
    made = frames.Survey(lsn, SALT)
    made.feed(Frame(b"", lsn, distance=0xFFFFFFFF).encode(), 2**63)
    assert (made.end_lsn, made.proof_lsn) == (lsn + 32, 0)
    made.feed(Frame(b"", lsn + 32, distance=0xFFFFFFFE).encode(), 2**63)
    assert made.proof_lsn == lsn + 32 - 8 * 0xFFFFFFFE


def test_a_bad_frame_proves_nothing() -> None:
    data = bytearray(Frame(b"", distance=0).encode())
    data[4] ^= 1
    assert survey(bytes(data)).proof_lsn == 0


def test_many_groups_and_large_payloads_are_held() -> None:
    log = lay_out([Frame(bytes([i % 251]) * 999, group=i * 13, kind=5) for i in range(5000)])
    made = survey(log)
    assert [group[0] for group in made.groups()] == [i * 13 for i in range(5000)]
    assert [item[4] for item in made.system()] == [frame.payload for frame in log]


def test_an_argument_of_the_wrong_range_is_refused() -> None:
    for given in ({"lsn": -1}, {"salt": 1 << 32}, {"stride": 1 << 32}, {"stride": -1}):
        with pytest.raises(ValueError, match="must be from 0"):
            frames.Survey(**{"lsn": 0, "salt": 0} | given)
    with pytest.raises(ValueError, match="stride must be at least 1"):
        frames.Survey(0, 0, 0)
    with pytest.raises(ValueError, match="limit_lsn must be from 0"):
        frames.Survey(0, 0).feed(b"", -1)
    with pytest.raises(TypeError):
        frames.Survey(0, 0).feed("text", 0)  # type: ignore[arg-type]
