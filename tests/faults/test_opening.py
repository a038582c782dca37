"""The data directory itself cannot be opened: told by a documented error with its path."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logstore import Log, PermissionDenied, ReadFailed
from tests.faults.scene import Scene, broken, is_told
from tests.oracle import Oracle
from tests.programs.faulty_calls import FaultyCalls


@pytest.fixture
def scene(place: Path) -> Iterator[Scene]:
    """Return a running log without a fault yet."""
    scene = Scene(place, Oracle(), FaultyCalls(frozenset(), 0, errno.EIO, None))
    with broken(scene.faults):
        assert scene.start()
        scene.settle()
        yield scene
        scene.clean_up()


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda log: log.cursor("reader"), id="a cursor"),
        pytest.param(lambda log: log.status(), id="status"),
    ],
)
@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO])
def test_a_call_that_cannot_open_the_directory_says_so(
    call: Callable[[Log], object], number: int, scene: Scene
) -> None:
    assert scene.log is not None
    scene.faults.kinds = frozenset({"open"})
    scene.faults.only = f"/{scene.path.name}"
    scene.faults.number = number
    with pytest.raises(ReadFailed) as caught:
        call(scene.log)
    assert scene.faults.fired
    assert is_told(caught.value, number)


def test_who_may_not_open_the_directory_is_denied_a_cursor_and_told_the_rest(scene: Scene) -> None:
    assert scene.log is not None
    scene.faults.kinds = frozenset({"open"})
    scene.faults.only = f"/{scene.path.name}"
    scene.faults.number = errno.EACCES
    with pytest.raises(PermissionDenied) as caught:
        scene.log.cursor("reader")
    assert is_told(caught.value, errno.EACCES)
    found = scene.log.status()
    assert (found.state, found.cursors) == ("running", [])
