"""What is new at each start, whatever the last one has left."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.scene import Scene
from tests.oracle import Oracle
from tests.programs.faulty_calls import FaultyCalls


@pytest.fixture
def scene(place: Path) -> Iterator[Scene]:
    """Return a log that is not started."""
    scene = Scene(place, Oracle(), FaultyCalls(frozenset(), 0, errno.EIO, None))
    yield scene
    scene.clean_up()


def test_every_start_is_an_epoch_with_a_salt_of_its_own(scene: Scene) -> None:
    epochs, salts = [], set()
    for killed in (True, False, True, True):
        assert scene.start(), scene.errors
        assert scene.supervisor is not None
        identity = scene.supervisor.client.identity
        epochs.append(identity.epoch)
        salts.add(identity.salt)
        scene.append(100)
        scene.settle()
        if killed:
            scene.end()
        else:
            assert scene.stop()
    assert epochs == [1, 2, 3, 4]
    assert len(salts) == 4  # two alike would be one chance in some 700 millions
