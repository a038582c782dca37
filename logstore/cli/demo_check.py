"""The demo's end: read everything back from disk and compare it line by line with the sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from logstore.cli.demo_lines import take_apart
from logstore.cli.demo_run import Course
from logstore.cli.files_alone import FilesAlone

_SHOWN_FAULTS: Final = 20


@dataclass(slots=True)
class Verdict:
    """What the comparison found.

    Attributes:
        records: How many records are on disk.
        acked: How many lines were acknowledged as durable.
        unacked: How many more are there: appended by the killed writer, with no time to tell.
        faults: What is missing, changed, doubled, out of order or in another place.
        fault_count: How many faults there are; the list stops early.
    """

    records: int = 0
    acked: int = 0
    unacked: int = 0
    faults: list[str] = field(default_factory=list)
    fault_count: int = 0

    def blame(self, fault: str) -> None:
        """Count one fault."""
        self.fault_count += 1
        if self.fault_count <= _SHOWN_FAULTS:
            self.faults.append(fault)


class _Expected:
    """What has to come next of one writer."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.next_number = 0
        self._lines: Iterator[bytes] = course.writer.lines()
        self._lsns = {ack.line_count - 1: ack.lsn for ack in course.acks}

    def judge(self, number: int, line: bytes, lsn: int) -> str | None:
        """Compare one record with the source; say what is wrong."""
        name = f"writer {self.course.writer.number}"
        if number != self.next_number:
            return f"{name}: line {number} at LSN {lsn}, expected line {self.next_number}"
        self.next_number += 1
        if next(self._lines, None) != line:
            return f"{name}: line {number} at LSN {lsn} differs from the source"
        told = self._lsns.get(number)
        if told is not None and told != lsn:
            return f"{name}: line {number} is at LSN {lsn}, acknowledged at {told}"
        return None


def check(directory: Path, courses: list[Course]) -> Verdict:
    """Compare the files of the stopped log with the sources, and with what was acknowledged."""
    verdict = Verdict()
    expected = {course.writer.number: _Expected(course) for course in courses}
    with FilesAlone.open(directory) as files:
        for record in files.read():
            verdict.records += 1
            writer, number, line = take_apart(bytes(record.payload))
            if writer not in expected:
                verdict.blame(f"LSN {record.lsn}: a record of an unknown writer {writer}")
            elif (fault := expected[writer].judge(number, line, record.lsn)) is not None:
                verdict.blame(fault)
    for one in expected.values():
        _judge_end(one, verdict)
    return verdict


def _judge_end(one: _Expected, verdict: Verdict) -> None:
    course = one.course
    name = f"writer {course.writer.number}"
    verdict.acked += course.acked_count
    verdict.unacked += max(0, one.next_number - course.acked_count)
    if one.next_number < course.acked_count:
        missing = course.acked_count - one.next_number
        verdict.blame(f"{name}: {missing} acknowledged lines are missing at the end")
    if one.next_number > course.acked_count + course.writer.batch:
        verdict.blame(f"{name}: more lines are there than were appended")
    if course.killed and one.next_number % course.writer.batch:
        verdict.blame(f"{name}: half a batch is there, up to line {one.next_number}")
    if not course.killed and course.acked_count != sum(1 for _ in course.writer.lines()):
        verdict.blame(f"{name}: only {course.acked_count} lines were acknowledged")
