"""A log whose checkpoints follow at a distance takes the room of that distance, however long."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import Serve
from tests.service import Service, environment

pytestmark = pytest.mark.process

SEGMENT: Final = 4 << 20
SPAN: Final = 96
PROCESSES: Final = 4
GROUPS: Final = 10
LAG: Final = 1000
PAUSE_S: Final = 0.002


def on_disk(path: Path) -> int:
    """Return the bytes of all segments, be they growing, sealed or prepared."""
    total = 0
    for file in path.glob("*.seg*"):
        try:
            total += file.stat().st_size
        except FileNotFoundError:
            continue
    return total


def run(service: Service, records: int) -> tuple[int, float]:
    """Append from all processes; return the most bytes seen on disk, and the seconds it took."""
    each = records // PROCESSES
    options = ["--groups", str(GROUPS), "--records", str(each), "--lag", str(LAG)]
    command = [sys.executable, "-P", "-m", "tests.programs.lagging", service.name, *options]
    began = time.monotonic()
    writers = [subprocess.Popen(command, env=environment()) for _ in range(PROCESSES)]
    most = 0
    while any(writer.poll() is None for writer in writers):
        most = max(most, on_disk(service.path))
        time.sleep(PAUSE_S)
    assert [writer.returncode for writer in writers] == [0] * PROCESSES
    return most, time.monotonic() - began


@pytest.mark.parametrize(
    "records",
    [pytest.param(200_000, id="200k"), pytest.param(1_000_000, id="1M", marks=pytest.mark.slow)],
)
def test_disk_use_follows_the_lag_and_not_the_log(serve: Serve, records: int) -> None:
    service = serve(segment_size=SEGMENT)
    most, seconds = run(service, records)
    lag = GROUPS * 2 * LAG * SPAN  # the distance, and what comes between two looks
    print(f"{records} records in {seconds:.1f} s: at most {most / SEGMENT:.2f} segments on disk")
    assert records * SPAN > 4 * SEGMENT + lag, "else this would show nothing"
    assert most < 4 * SEGMENT + lag
    with service.attach() as log:
        assert sum(log.group(f"group-{n}").status().appended for n in range(GROUPS)) == records
