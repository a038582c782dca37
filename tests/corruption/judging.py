"""Asking every part of the product about a damaged log, and checking the answers."""

from __future__ import annotations

from pathlib import Path

from logstore.cli.verifying import Report, Verification
from logstore.errors import Corruption
from logstore.segments.mending import repair
from logstore.segments.recover import recover
from logstore.segments.repair import RepairPlan, plan_repair
from tests.corruption.known_log import MANIFEST, Expected, Frame, KnownLog
from tests.memory_directory import MemoryDirectory
from tests.segments.small_log import contents, facts, read_all

MADE = (MANIFEST, "REPAIRS")
"""Files that are replaced as a whole, and say nothing that the segments do not."""


def verified(directory: MemoryDirectory) -> Report:
    """Run what `logstore verify` runs; it must change nothing."""
    before = contents(directory)
    report = Verification(directory, None).run()
    assert contents(directory) == before
    return report


def check(known: KnownLog, damaged: MemoryDirectory) -> Expected:
    """Check verify, recovery, reading, and repair of a damaged copy; return what was expected."""
    expected = known.expected(damaged)
    whole = known.whole(damaged)
    _check_verify(damaged, expected)
    _check_recovery(known, damaged.copied(), expected)
    if expected.verdict == "corrupt":
        check_repair(known, damaged, whole)
    else:
        assert not plan_repair(damaged).problems
    return expected


def _check_verify(damaged: MemoryDirectory, expected: Expected) -> None:
    report = verified(damaged)
    assert bool(report.corrupt) == (expected.verdict == "corrupt"), (report, expected)
    assert bool(report.notes) == (expected.verdict == "torn") or report.corrupt, report
    if expected.segment is not None:
        if MANIFEST in (report.corrupt[0].path or Path()).parts:
            # Without a manifest nobody knows which segments should have a footer.
            if expected.offset is None:
                return
            report.corrupt.pop(0)
        first = report.corrupt[0]
        assert first.segment == expected.segment, (first, expected)
        if expected.offset is not None:
            assert (first.offset, first.lsn) == (expected.offset, expected.lsn), first


def _check_recovery(known: KnownLog, damaged: MemoryDirectory, expected: Expected) -> None:
    """Recover strictly and read: what is given is right, and nothing is gone."""
    before = contents(damaged)
    try:
        recovered = recover(damaged)
    except Corruption:
        assert expected.verdict == "corrupt"
        assert contents(damaged) == before
        return
    if expected.segment == known.active:
        raise AssertionError("damage below a proof was taken for a torn tail")
    nothing_is_gone(before, contents(damaged))
    try:
        records = facts(read_all(damaged, recovered.end_lsn))
    except Corruption as error:
        refused_by = error.segment
    else:
        assert records == [one for one in known.log.records if one[0] < recovered.end_lsn]
        return
    assert (expected.verdict, refused_by) == ("corrupt", expected.segment)


def check_repair(known: KnownLog, damaged: MemoryDirectory, whole: list[Frame]) -> RepairPlan:
    """Repair a copy: every whole record is there, all else is told, and nothing is deleted."""
    directory = damaged.copied()
    before = contents(directory)
    plan = plan_repair(directory)
    assert contents(directory) == before
    assert plan.problems
    done = repair(directory)
    after = contents(directory)
    nothing_is_gone(before, after)
    assert {name for name in done.quarantined if name not in after} == set()
    assert repair(directory).plan.problems == ()
    assert contents(directory) == after
    recovered = recover(directory)
    records = facts(read_all(directory, recovered.end_lsn, recovered.manifest.start_lsn))
    kept = _without_open_batch(known, whole, plan)
    assert records == [frame.record for frame in kept]
    _check_loss(known, plan, kept, recovered.end_lsn)
    assert not verified(directory).corrupt
    return plan


def _without_open_batch(known: KnownLog, whole: list[Frame], plan: RepairPlan) -> list[Frame]:
    """Leave out what recovery cuts at the very end: a batch of which the end is not there."""
    lost = [frame for frame in known.frames if frame not in whole]
    if not whole or not lost or known.frames[-1] in whole:
        return whole
    last = whole[-1]
    if any(frame.batch_lsn == last.batch_lsn and frame.lsn > last.lsn for frame in lost):
        inside = any(hole.from_lsn == last.lsn + _span(last) for hole in plan.holes)
        if not (inside and known.frames[-1].name != last.name):
            return [frame for frame in whole if frame.batch_lsn != last.batch_lsn]
    return whole


def _span(frame: Frame) -> int:
    return frame.end - frame.start


def _check_loss(known: KnownLog, plan: RepairPlan, kept: list[Frame], end_lsn: int) -> None:
    """No LSN and no seq comes twice, and the count of lost records is never too low."""
    lost = [frame for frame in known.frames if frame not in kept]
    for frame in lost:
        covered = any(hole.from_lsn <= frame.lsn < hole.until_lsn for hole in plan.holes)
        # What no frame and no footer proves was torn: it was never promised.
        if not covered:
            assert frame.name == known.active
            assert frame is known.frames[-1] or not any(f.lsn > frame.lsn for f in kept)
            continue
        ranges = plan.lost.get(frame.record[1], ())
        assert any(first <= frame.seq <= last for first, last in ranges), (frame, plan.lost)
        assert plan.next_seqs[frame.record[1]] > frame.seq
        assert end_lsn > frame.lsn


def nothing_is_gone(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    """Check that whatever was changed or cut is in the quarantine, or under its right name."""
    for name, was in before.items():
        now = after.get(name, b"")
        if name in MADE or was == now:
            continue
        # Recovery drops a segment without a frame; its header says nothing that is missed.
        start = 4096 if name not in after and was.startswith(b"LOGSTSEG") else 0
        for piece in _changed(was[start:], now[start:]):
            assert any(piece in data for data in after.values()), (name, piece)


def _changed(was: bytes, now: bytes) -> list[bytes]:
    """Return the stretches of `was` that are no longer there, without the zeros around them."""
    now = now[: len(was)].ljust(len(was), b"\0")
    pieces, start = [], None
    for index in range(0, len(was), 8):
        if was[index : index + 8] != now[index : index + 8]:
            start = index if start is None else start
        elif start is not None:
            pieces.append(was[start:index].strip(b"\0"))
            start = None
    if start is not None:
        pieces.append(was[start:].strip(b"\0"))
    return [piece for piece in pieces if piece]
