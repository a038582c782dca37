"""What a syncer syncs, and what it and its successor believe after a failure or a death."""

from __future__ import annotations

import errno
import os

import pytest

from logstore.files import Directory
from logstore.ring import slots
from logstore.ring._ring import LAYOUT
from logstore.ring.client import Client
from logstore.ring.failure import failure
from logstore.ring.layout import SYNCER, Level, State
from logstore.segments.segment import segment_name
from logstore.workers.syncer import Syncer
from tests.faults.scene import Scene
from tests.power.recording import Image, Op, RecordedDisk, Trace
from tests.service import until


class Killed(BaseException):
    """Stand for a SIGKILL: no code of ours can catch it by accident."""


def drained(scene: Scene, *sizes: int) -> None:
    """Append records and have them written, and not synced."""
    assert scene.committer is not None
    for size in sizes:
        scene.append(size)
        while scene.committer.step():
            pass


def retired(scene: Scene) -> None:
    """Let the syncer go as its death would."""
    assert scene.syncer is not None
    scene.syncer.close()
    scene.syncer = None


def die_inside_a_sync(scene: Scene) -> None:
    """Let the syncer begin a sync, and never hear of its result."""
    assert scene.syncer is not None

    def kill(*_: str) -> None:
        raise Killed

    scene.faults.on_fire = kill
    scene.faults.kinds = frozenset({"sync"})
    scene.faults.times = 1
    scene.faults.only = ".seg"
    with pytest.raises(Killed):
        scene.syncer.step()
    scene.faults.heal()
    retired(scene)


def successor(scene: Scene) -> list[Op]:
    """Start a syncer on a directory that records; return what it has done after its first step."""
    directory = RecordedDisk.open(scene.path, create=False)
    directory.record(Trace())
    client = Client(scene.path.name, role=SYNCER)
    syncer = Syncer(client, directory)
    assert syncer.step()
    syncer.close()
    directory.really_close()
    return directory.trace.ops


def written(scene: Scene, segment: str, first: int, last: int) -> bytes:
    """Return what a segment's file holds between two LSNs; it is the first one."""
    with Directory.open(scene.path, create=False) as directory:
        fd = directory.open_read(segment)
        data = directory.read(fd, last - first, first)
        directory.close_file(fd)
    return data


def test_a_sync_that_its_syncer_died_in_is_redone_by_writing(scene: Scene) -> None:
    drained(scene, 10, 1000, 200)
    synced, end = scene.synced, scene.written
    assert synced < end
    die_inside_a_sync(scene)
    assert scene.synced == synced
    ops = successor(scene)
    assert scene.synced == end
    # The kernel may have taken the pages for clean: only writing makes them dirty again.
    whats = [op.what for op in ops]
    assert "write" in whats[: whats.index("sync")]
    again = b"".join(op.data for op in ops if op.what == "write")
    assert again == written(scene, "00000000000000004096.seg", synced, end)


def test_a_syncer_that_died_between_two_syncs_leaves_nothing_to_redo(scene: Scene) -> None:
    drained(scene, 10)
    scene.settle()
    retired(scene)
    drained(scene, 10)
    assert scene.supervisor is not None
    assert scene.supervisor.client.ring.load(LAYOUT["sync_intent"]) == 0
    assert "write" not in [op.what for op in successor(scene)]


def test_all_segments_with_new_bytes_are_synced_before_the_ack(scene: Scene) -> None:
    retired(scene)
    drained(scene, 3000, 3000, 3000)
    assert scene.supervisor is not None
    assert scene.supervisor.client.ring.load(LAYOUT["rotations"]) >= 1
    bases = slots.bases(scene.supervisor.client.ring, 0)
    directory = RecordedDisk.open(scene.path, create=False)
    directory.record(Trace(Image({segment_name(base): b"" for base in bases}, frozenset())))
    syncer = Syncer(Client(scene.path.name, role=SYNCER), directory)
    assert syncer.step()
    syncer.close()
    directory.really_close()
    synced = [op.file for op in directory.trace.ops if op.what == "sync"]
    assert synced == list(range(1, len(bases) + 1))
    assert scene.synced == scene.written


def test_a_sync_that_failed_is_never_tried_again(scene: Scene) -> None:
    drained(scene, 10, 1000)
    assert scene.syncer is not None
    synced = scene.synced
    scene.faults.kinds = frozenset({"sync"})
    scene.faults.times = 1  # the second one would go well
    scene.faults.only = ".seg"
    for _ in range(2):
        assert not scene.syncer.step()
    retired(scene)
    assert scene.start_workers()
    assert not scene.syncer.step()
    assert len(scene.faults.fired) == 1
    assert (scene.state, scene.synced) == (State.FAILED, synced)


def test_what_was_synced_and_dropped_is_passed_over_by_the_next_syncer(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scene.log is not None
    monkeypatch.setattr(scene.syncer, "_retire", lambda _: None)  # it dies before it comes to this
    for _ in range(5):
        scene.append(3000)  # a segment each
    scene.settle()
    scene.log.group("default").checkpoint(up_to=2)
    scene.settle()
    scene.log.compact(wait=False)
    scene.settle()
    until(lambda: not (scene.path / segment_name(4096)).exists(), "it is dropped")
    retired(scene)
    assert scene.start_workers()
    scene.append(10)
    scene.settle()
    assert (scene.state, scene.synced) == (State.RUNNING, scene.head)


def test_a_sync_that_the_disk_refuses_on_the_vigil_fails_the_log(scene: Scene) -> None:
    drained(scene, 10)
    scene.settle()
    drained(scene, 10)
    assert isinstance(scene.syncer, Syncer)
    assert scene.log is not None
    ring = scene.log._client.ring
    assert not ring.poll(Level.SYNCED, scene.synced, 0.0)  # somebody waits for a quick disk
    ring.store(LAYOUT["sync_recent_ns"], 100_000)
    synced, fd = scene.synced, scene.syncer._segments[0].fd
    pipe = os.pipe()
    os.dup2(pipe[0], fd)  # what cannot be synced has the segment's place
    scene.syncer.idle()
    for end in pipe:
        os.close(end)
    assert (scene.state, scene.synced) == (State.FAILED, synced)
    path, stage, number = failure(ring)
    assert (path.name, stage, number) == (segment_name(4096), "fdatasync", errno.EINVAL)
    assert not scene.syncer.step()
