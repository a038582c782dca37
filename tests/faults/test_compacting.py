"""Compaction meets a full disk: what is dropped stays so, the rest follows, and the log goes on."""

from __future__ import annotations

import errno

import pytest

from logstore.ring.layout import State
from logstore.segments.segment import bases_of, segment_name
from tests.faults.scene import Scene
from tests.faults.test_sealing import listed, restarted, stepped
from tests.service import until


def there(scene: Scene) -> list[int]:
    """Return the bases of the segments that are files."""
    return bases_of(path.name for path in scene.path.iterdir())


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(
    ("kind", "where"),
    [("name", "second"), ("write", "MANIFEST.tmp"), ("name", "MANIFEST.tmp"), ("sync", "")],
    ids=["unlinking", "writing the manifest", "naming it", "syncing names"],
)
def test_a_compaction_that_finds_no_room_is_gone_on_with(
    scene: Scene, kind: str, where: str, times: int
) -> None:
    log = scene.log
    assert log is not None
    for _ in range(7):
        scene.append(3000)  # a segment each
    until(lambda: stepped(scene) and len(listed(scene)) == 6, "all but the last are sealed")
    scene.settle()
    scene.tell_synced()
    dropped, kept = listed(scene)[:4], listed(scene)[4:]
    scene.faults.number = errno.ENOSPC
    scene.faults.kinds = frozenset({kind})
    scene.faults.only = segment_name(dropped[1]) if where == "second" else where or scene.path.name
    scene.faults.times = times
    log.group("default").checkpoint(up_to=4)
    scene.settle()
    log.compact(wait=False)  # if it has not been done already
    until(lambda: stepped(scene) and len(scene.faults.fired) == times, "no room")
    until(lambda: stepped(scene) and not set(dropped) & set(there(scene)), "they are dropped")
    assert listed(scene) == kept
    for _ in range(7):
        scene.append(3000)
    until(lambda: stepped(scene) and len(listed(scene)) >= len(kept) + 2, "sealing goes on")
    assert scene.state == State.RUNNING
    for n in range(1, 5):
        del scene.oracle.fates[1, n]
    restarted(scene)
