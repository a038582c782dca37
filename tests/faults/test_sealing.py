"""What the committer does beside its main work meets a disk that fails or is full."""

from __future__ import annotations

import errno
import threading

import pytest

from logstore.errors import DiskFull
from logstore.files import Directory
from logstore.ring._ring import LAYOUT
from logstore.ring.client import Client
from logstore.ring.layout import COMMITTER, State
from logstore.segments import manifest
from logstore.workers.chores import Chores
from logstore.workers.committer import Committer
from tests.faults.scene import Scene
from tests.service import until


def rotations(scene: Scene) -> int:
    """Count the rotations so far."""
    assert scene.supervisor is not None
    return scene.supervisor.client.ring.load(LAYOUT["rotations"])


def stepped(scene: Scene) -> bool:
    """Let every role do one step."""
    scene.step()
    return True


def listed(scene: Scene) -> list[int]:
    """Return the bases of the segments that the manifest calls sealed."""
    with Directory.open(scene.path, create=False) as directory:
        found = manifest.load(directory)
    assert found is not None
    return [one.base_lsn for one in found.sealed]


def restarted(scene: Scene) -> None:
    """End the epoch, mend the disk, start anew; nothing may be missing."""
    scene.faults.heal()
    scene.end()
    assert scene.start(), scene.errors
    scene.settle()
    scene.oracle.check(scene.read())


class TellingChores(Chores):
    """Tell when a job waits."""

    def __init__(self) -> None:
        self.waits = threading.Event()
        super().__init__()

    def pause(self, seconds: float) -> None:
        self.waits.set()
        super().pause(seconds)


def test_a_segment_whose_sync_failed_at_sealing_is_never_called_synced(scene: Scene) -> None:
    # The syncer has not opened the first segment when its sealing is tried: its own descriptor
    # would come after the error, and would not hear of it.
    def meanwhile(*_: str) -> None:
        # Sealing has been told, and has not said so yet: now the syncer comes.
        assert scene.syncer is not None
        if threading.current_thread() is not threading.main_thread():
            scene.syncer.step()

    for _ in range(4):
        scene.append(3000)
    scene.faults.on_fire = meanwhile
    scene.faults.kinds = frozenset({"sync"})
    scene.faults.times = 1
    scene.faults.only = "00000000000000004096.seg"
    assert scene.committer is not None
    scene.committer.close()
    chores = TellingChores()
    committer = Committer(Client(scene.path.name, role=COMMITTER), chores=chores)
    scene.committer = committer
    until(lambda: committer.step() and rotations(scene), "a rotation")
    until(lambda: chores.waits.is_set() or scene.faults.fired, "the sealing has begun")
    scene.settle()
    assert scene.faults.fired
    assert scene.state == State.FAILED
    assert scene.synced == 4096
    restarted(scene)


def test_a_segment_that_cannot_be_sealed_is_not_passed_over_in_the_manifest(scene: Scene) -> None:
    # Its successor would be listed without it, and the next start would take it for dropped.
    twice = threading.Event()
    scene.faults.on_fire = lambda *_: twice.wait(10.0)
    scene.faults.kinds = frozenset({"read"})
    scene.faults.times = 1
    scene.faults.only = "00000000000000004096.seg"
    for _ in range(5):
        scene.append(3000)
    until(lambda: stepped(scene) and rotations(scene) >= 2, "two rotations")
    twice.set()
    until(lambda: stepped(scene) and scene.state == State.FAILED, "the log fails")
    assert scene.committer is not None
    scene.end_workers()
    assert listed(scene) == []
    restarted(scene)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize(
    ("kinds", "only"),
    [
        ({"write", "size"}, ".seg"),
        ({"open"}, "MANIFEST.tmp"),
        ({"write"}, "MANIFEST.tmp"),
        ({"open", "size", "write"}, ""),
    ],
    ids=["in segments and footers", "in making the manifest", "in writing it", "anywhere"],
)
def test_a_full_disk_is_told_and_the_log_goes_on_by_itself_once_there_is_room(
    scene: Scene, number: int, kinds: set[str], only: str
) -> None:
    scene.faults.number = number
    scene.faults.kinds = frozenset(kinds)
    scene.faults.only = only
    for _ in range(18):
        scene.append(3000)
    until(lambda: stepped(scene) and scene.state == State.FULL, "the log is full")
    assert scene.log is not None
    while not scene.errors:
        scene.append(3000)
    assert isinstance(scene.errors[0][1], DiskFull)
    assert scene.errors[0][1].errno == number
    assert scene.errors[0][1].path is not None
    scene.faults.heal()
    scene.settle()
    assert scene.state == State.RUNNING
    assert scene.synced == scene.head
    scene.tell_synced()
    assert scene.stop()
    assert scene.start()
    scene.settle()
    scene.oracle.check(scene.read())


def test_a_full_disk_while_the_service_stops_is_waited_out(scene: Scene) -> None:
    scene.append(3000)
    scene.settle()
    scene.faults.number = errno.ENOSPC
    scene.faults.kinds = frozenset({"write", "open"})
    scene.faults.only = "MANIFEST.tmp"
    threading.Timer(0.15, scene.faults.heal).start()
    assert scene.stop()
