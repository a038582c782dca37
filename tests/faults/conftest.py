"""What tests of faults share: a log whose roles run here, with calls that can be made to fail."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.scene import Scene, broken
from tests.oracle import Oracle
from tests.programs.faulty_calls import FaultyCalls


@pytest.fixture
def scene(place: Path) -> Iterator[Scene]:
    """Return a running log without a fault yet."""
    scene = Scene(place, Oracle(), FaultyCalls(frozenset(), 0, errno.EIO, None))
    with broken(scene.faults):
        assert scene.start()
        yield scene
        scene.clean_up()
