"""Every call on the data directory's files fails once, or from then on for ever: what is raised is
documented and says where, no ack was false, and after a restart on a sound disk nothing is missing.

The roles are stepped in the test's process. How many calls there are is found out by failing them
one after the other until a run meets no fault any more.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TypeAlias

import pytest
from _pytest.mark.structures import ParameterSet

from logstore import DiskFull, LogstoreError, PermissionDenied, ReadFailed, Record, SyncFailed
from logstore.engines import snapshots
from logstore.files import Directory
from logstore.ring.layout import State
from logstore.segments.ranges import RangeSet
from tests.faults.scene import Scene, broken
from tests.oracle import Oracle
from tests.programs.faulty_calls import ALL, SHORT, FaultyCalls

Scenes: TypeAlias = Callable[[FaultyCalls], Scene]

ERRORS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EMFILE)
OF_THE_STORAGE = (DiskFull, PermissionDenied, ReadFailed, SyncFailed)
CHECKPOINTED = 6
STRIDE = 251
"""In the fast run every so many calls one fails; a prime, so that no kind is always passed by."""


@pytest.fixture
def scenes(tmp_path: Path, places: Iterator[Path]) -> Iterator[Scenes]:
    """Return a function that sets up a log in a directory of its own; all are cleaned up."""
    made: list[Scene] = []

    def make(faults: FaultyCalls) -> Scene:
        while made:
            made.pop().clean_up()
        made.append(Scene(next(places), Oracle(), faults))
        return made[-1]

    yield make
    while made:
        made.pop().clean_up()


def live(scene: Scene) -> None:
    """Use a log in every way that touches files, whatever of it may fail."""
    if not scene.start() and (scene.log is None or not scene.start_workers()):
        return
    for turn in range(3):
        for size in (200, *[3000] * 7, 0, 900):
            scene.append(size)
        scene.settle(0.1 if scene.faults.times is None else 5.0)
        scene.tell_synced()
        if turn == 1 and scene.state == State.RUNNING:
            consume(scene)
        scene.attempt("read", scene.read)
    scene.stop()


def consume(scene: Scene) -> None:
    """Save a cursor, a snapshot and a checkpoint, and compact."""
    log = scene.log
    assert log is not None
    group = log.group("default")

    def cursor() -> None:
        with group.cursor("reader") as consumer:
            for record in itertools.islice(consumer.records(timeout=0), 3):
                consumer.advance(record)
            scene.settle(0.1)
            consumer.save(timeout=0.1)

    def snapshot() -> None:
        with Directory.open(scene.path, create=False) as directory:
            snapshots.save(directory, "default", snapshots.Snapshot(4096, RangeSet(), b"state"))
            snapshots.load(directory, "default")

    def checkpoint() -> None:
        scene.checkpointed = True
        group.checkpoint(up_to=CHECKPOINTED)

    uses: list[tuple[str, Callable[[], object]]] = [
        ("cursor", cursor),
        ("snapshot", snapshot),
        ("load", lambda: group.load(2)),
        ("checkpoint", checkpoint),
        ("compact", lambda: log.compact(wait=False)),
    ]
    for what, use in uses:
        if scene.state != State.RUNNING or scene.synced < scene.head:
            return  # it would wait for who does not come
        with suppress(OSError) if what == "snapshot" else nullcontext():
            scene.attempt(what, use)  # of a snapshot, the caller opens the directory
        scene.settle(0.1)


def judge(scene: Scene, number: int) -> None:
    """End the epoch, mend the disk, start anew, and compare everything with the oracle."""
    for what, error in scene.errors:
        # What follows from a failure may be told by another class.
        if isinstance(error, OF_THE_STORAGE):
            assert error.path is not None, (what, error)
            assert error.errno == number, (what, error)
    scene.faults.heal()
    scene.end()
    scene.errors.clear()
    assert scene.start(), scene.errors
    scene.settle()
    records = scene.read()
    os.close(scene.pipe)
    scene.oracle.until_all_told()
    scene.pipe = os.open(os.devnull, os.O_WRONLY)
    forget_dropped(scene, records)
    scene.oracle.check(records)
    scene.append(10)
    scene.settle()
    assert scene.state == State.RUNNING
    assert scene.synced == scene.written


def forget_dropped(scene: Scene, records: list[Record]) -> None:
    """Let the oracle expect no more what the checkpoint has let compaction drop."""
    there = {record.lsn for record in records}
    fates = scene.oracle.fates
    for n in range(1, CHECKPOINTED + 1 if scene.checkpointed else 1):
        if fates[1, n].lsn not in there:
            del fates[1, n]


def every_call(
    scenes: Scenes, number: int, times: int | None, stride: int, kinds: frozenset[str] = ALL
) -> int:
    """Fail one call after the other; return how many runs met a fault."""
    for runs, after in enumerate(itertools.count(number % stride, stride)):
        faults = FaultyCalls(kinds, after, number, times)
        scene = scenes(faults)
        with broken(faults):
            live(scene)
            if not faults.fired:
                return runs
            try:
                judge(scene, number)
            except (AssertionError, LogstoreError) as error:
                error.add_note(f"call {faults.after} failed: {faults.fired[0]}")
                raise
    raise AssertionError("not reached")


def cases(stride: int) -> list[ParameterSet]:
    """Return (errno, times, stride) for every errno, once and for ever."""
    return [
        pytest.param(number, times, stride, id=f"{errno.errorcode[number]} {what}")
        for number in ERRORS
        for times, what in ((1, "once"), (None, "for ever"))
    ]


@pytest.mark.parametrize(("number", "times", "stride"), cases(STRIDE))
def test_a_call_that_fails_is_told_and_nothing_is_lost(
    scenes: Scenes, number: int, times: int | None, stride: int
) -> None:
    assert every_call(scenes, number, times, stride) >= 3


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("number", "times", "stride"), cases(1))
def test_each_single_call_fails(
    scenes: Scenes, number: int, times: int | None, stride: int
) -> None:
    assert every_call(scenes, number, times, stride) > 500


@pytest.mark.timeout(600)
@pytest.mark.parametrize("stride", [23, pytest.param(1, marks=pytest.mark.slow)])
def test_a_sync_that_failed_is_not_believed_by_workers_that_are_started_anew(
    scenes: Scenes, stride: int
) -> None:
    failed = 0
    for after in itertools.count(2, stride):
        scene = scenes(FaultyCalls(frozenset({"sync"}), after, errno.EIO, 1))
        with broken(scene.faults):
            live(scene)
            if not scene.faults.fired:
                break
            if scene.supervisor is not None and scene.state == State.FAILED:
                failed += 1
                synced = scene.synced
                scene.end_workers()
                scene.start_workers()
                scene.append(100)
                scene.settle(0.1)
                assert (scene.state, scene.synced) == (State.FAILED, synced)
            judge(scene, errno.EIO)
    assert failed >= 2


@pytest.mark.timeout(600)
@pytest.mark.parametrize("stride", [17, pytest.param(1, marks=pytest.mark.slow)])
def test_a_write_is_short_once(scenes: Scenes, stride: int) -> None:
    for after in itertools.count(0, stride):
        faults = FaultyCalls(frozenset({"write"}), after, SHORT)
        scene = scenes(faults)
        with broken(faults):
            live(scene)
            if not faults.fired:
                break
            assert not scene.errors
            judge(scene, 0)
    assert after > 20


def test_all_writes_are_short(scenes: Scenes) -> None:
    scene = scenes(FaultyCalls(frozenset({"write"}), 0, SHORT, None))
    with broken(scene.faults):
        live(scene)
        assert len(scene.faults.fired) > 100
        assert not scene.errors
        judge(scene, 0)
