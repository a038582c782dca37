"""The demo's comparison finds what it is there to find: each planted fault turns it red."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from logstore.cli.demo_check import Verdict, check
from logstore.cli.demo_lines import Writer, take_apart, writers
from logstore.cli.demo_run import Course
from logstore.cli.demo_writer import Ack
from logstore.files import Directory
from tests.segments.small_log import SmallLog

BATCHED = Writer(0, 4, 12, frozenset({0}))
SINGLE = Writer(1, 1, 3, frozenset({1}))
Planted = Callable[[list[bytes]], list[bytes]]


def judged(
    path: Path, planted: Planted = lambda records: records, *, acked: int = 12, killed: bool = False
) -> Verdict:
    """Write both writers' records, changed as a fault would, and compare."""
    with Directory.open(path / "log", create=True) as directory:
        log = SmallLog(directory)
        log.begin()
        lsns = [log.put(record) for record in planted([*BATCHED.records()])]
        single = [log.put(record) for record in SINGLE.records()]
    batched = [Ack(n, lsns[n - 1], 0, 1) for n in range(4, acked + 1, 4) if n <= len(lsns)]
    each = [Ack(n + 1, lsn, 0, 1) for n, lsn in enumerate(single)]
    if len(lsns) < acked:
        batched.append(Ack(acked, lsns[-1] + 8, 0, 1))
    return check(path / "log", [Course(BATCHED, batched, killed), Course(SINGLE, each)])


def test_a_log_that_holds_every_line_passes(tmp_path: Path) -> None:
    verdict = judged(tmp_path)
    assert verdict.faults == []
    assert (verdict.records, verdict.acked, verdict.unacked) == (15, 15, 0)


def test_what_a_killed_writer_could_not_tell_of_is_allowed(tmp_path: Path) -> None:
    verdict = judged(tmp_path, acked=8, killed=True)
    assert verdict.faults == []
    assert verdict.unacked == 4


@pytest.mark.parametrize(
    ("planted", "acked", "killed", "fault"),
    [
        (lambda r: r[:3] + r[4:], 8, True, "writer 0: line 4 at LSN"),
        (lambda r: [*r[:2], r[1], *r[2:]], 12, False, "expected line 2"),
        (lambda r: [r[1], r[0], *r[2:]], 12, False, "expected line 0"),
        (lambda r: [*r[:5], r[5][:-1] + b"?", *r[6:]], 12, False, "differs from the source"),
        (lambda r: r[:8], 12, True, "4 acknowledged lines are missing at the end"),
        (lambda r: r[:10], 8, True, "half a batch is there"),
        (lambda r: r, 4, True, "more lines are there than were appended"),
        (lambda r: r, 8, False, "only 8 lines were acknowledged"),
        (lambda r: [b"\x07\0\0\0\0?", *r], 4, False, "unknown writer 7"),
    ],
    ids=[
        "a line is missing",
        "a line is there twice",
        "two lines changed places",
        "a line is changed",
        "acknowledged lines are missing at the end",
        "half a batch",
        "lines that nobody appended",
        "a writer that did not finish",
        "a record that nobody wrote",
    ],
)
def test_a_planted_fault_is_found(
    tmp_path: Path, planted: Planted, acked: int, killed: bool, fault: str
) -> None:
    verdict = judged(tmp_path, planted, acked=acked, killed=killed)
    assert any(fault in found for found in verdict.faults), verdict.faults


def test_a_record_at_another_place_than_told_is_found(tmp_path: Path) -> None:
    with Directory.open(tmp_path / "log", create=True) as directory:
        log = SmallLog(directory)
        log.begin()
        lsns = [log.put(record) for record in SINGLE.records()]
    acks = [Ack(n + 1, lsn + 8, 0, 1) for n, lsn in enumerate(lsns)]
    verdict = check(tmp_path / "log", [Course(SINGLE, acks)])
    assert verdict.fault_count == 3
    assert "acknowledged at" in verdict.faults[0]


def test_writers_share_the_files_out_and_number_their_lines() -> None:
    shares = [writer.share for writer in writers(1000)]
    assert sorted(number for share in shares for number in share) == list(range(16))
    number, line = 0, next(SINGLE.lines())
    assert take_apart(next(SINGLE.records())) == (1, number, line)


def test_acks_are_taken_whole_from_a_pipe_that_cuts_anywhere() -> None:
    sent = [Ack(1, 4096, 5, 6), Ack(2, 4136, 7, 8)]
    data = b"".join(ack.encode() for ack in sent)
    buffer, received = bytearray(), []
    for byte in data:
        buffer.append(byte)
        received += Ack.take_from(buffer)
    assert received == sent
    assert not buffer
