"""A worker dies on the vigil that it keeps for a quick disk, exactly at a point."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from tests.conftest import Serve
from tests.crash.load import LARGEST, RING, WRAPPING, Load, nothing_is_lost, was_replaced_once
from tests.fail_points import FailPoints
from tests.oracle import Oracle
from tests.service import SHM

pytestmark = pytest.mark.crash

IN_A_VIGIL: Final = (
    ("committer", "vigil.published"),
    ("committer", "vigil.file"),
    ("syncer", "vigil.intent"),
    ("syncer", "vigil.synced"),
)
SILENCE_S: Final = 2.0


@pytest.fixture
def quick_place(places: Iterator[Path]) -> Iterator[Path]:
    """Return a place on the quickest disk there is, so that every sync is worth a vigil."""
    name = next(places).name
    with TemporaryDirectory(prefix=f"{name}-", dir=SHM) as where:  # its messages lie beside it
        yield Path(where) / name


@pytest.mark.parametrize("sizes", ["0-900", str(WRAPPING), str(LARGEST)])
@pytest.mark.parametrize(("role", "point"), IN_A_VIGIL)
def test_a_worker_dies_on_its_vigil_and_everybody_goes_on(
    role: str,
    point: str,
    sizes: str,
    quick_place: Path,
    serve: Serve,
    oracle: Oracle,
    armed: FailPoints,
    tmp_path: Path,
) -> None:
    once = tmp_path / "once"
    service = serve(
        quick_place,
        segment_size=1 << 18,
        ring_size=RING,
        environment=armed.arm(point, role=role, once=once),
    )
    with service.attach() as log:
        Load(log, oracle, sizes).outlive(once)
        was_replaced_once(log, role)
    nothing_is_lost(service, oracle, SILENCE_S)
    assert service.stop() == 0
