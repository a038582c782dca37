"""Every byte of the region's header and tables is changed, under a live log and before a start: the
change is harmless or told. Nothing crashes, hangs or is read from outside, and no record that was
durable is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from logstore.ring import region
from tests.service import environment

pytestmark = pytest.mark.crash

MODES = ("live", "adopt", "start")
SAMPLE = 60


def poke(place: Path, mode: str, *flags: str) -> None:
    """Run the program that pokes; it must find nothing."""
    command = [sys.executable, "-P", "-m", "tests.programs.poked", str(place), mode, *flags]
    done = subprocess.run(
        command,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("BAD")]
    assert done.returncode == 0, f"{found[:10]}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.fixture
def named(place: Path) -> Iterator[Path]:
    """Return a place whose region goes, whatever happens."""
    yield place
    region.unlink(place.name)


@pytest.mark.parametrize("mode", MODES)
def test_a_sample_of_changed_bytes_does_no_harm(mode: str, named: Path, seed: int) -> None:
    poke(named, mode, "--seed", str(seed), "--count", str(SAMPLE))


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("mode", MODES)
def test_no_changed_byte_does_harm(mode: str, named: Path) -> None:
    poke(named, mode)
