"""`logstore repair` dies at a named point, once, and is called again: nothing more is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import logstore
from logstore.files import Directory
from logstore.segments import repairs
from tests.conftest import Serve
from tests.fail_points import FailPoints
from tests.service import Service, environment

pytestmark = pytest.mark.crash

REPAIR: Final = (
    "repair.begun",
    "repair.aside",
    "repair.copied:2",
    "repair.filled",
    "repair.mended",
    "repair.resumed",
    "repair.saved",
)
RECORDS: Final = 600


@pytest.fixture
def damaged(serve: Serve) -> Service:
    """Return a log that was stopped in order, with a hole in two segments and one put aside."""
    service = serve(segment_size=1 << 14)
    with service.attach() as log:
        for number in range(RECORDS):
            log.append(b"record %d, and some more bytes to fill the segment" % number)
        log.sync()
    assert service.stop() == 0
    segments = sorted(service.path.glob("*.seg"))
    assert len(segments) > 3
    for segment in segments[:2]:
        data = bytearray(segment.read_bytes())
        data[8192] ^= 1
        segment.write_bytes(data)
    segments[2].write_bytes(b"")
    return service


def run_repair(path: Path, armed: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [sys.executable, "-m", "logstore.cli", "repair", str(path), "--yes", "--json"]
    return subprocess.run(
        command,
        cwd=path.parent,
        env=environment(armed),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


EVERY_RUN: Final = ("repair.filled", "repair.resumed")


@pytest.mark.parametrize(
    "point",
    [pytest.param(point, marks=() if point in EVERY_RUN else pytest.mark.slow) for point in REPAIR],
)
def test_a_repair_that_dies_is_taken_up_by_the_next(
    damaged: Service, tmp_path: Path, armed: FailPoints, point: str
) -> None:
    other = damaged.copy(tmp_path / "undisturbed")
    expected = json.loads(run_repair(other, {}).stdout)
    assert len(expected["holes"]) == 3
    died = run_repair(damaged.path, armed.arm(point))
    assert died.returncode == -9, died.stderr
    assert run_repair(damaged.path, {}).returncode == 0
    with Directory.open(damaged.path, create=False) as directory:
        known = repairs.load(directory)
    assert known.unfinished is None
    assert [list(hole) for hole in known.holes] == expected["holes"]
    lost = sum(one.last_seq - one.first_seq + 1 for one in known.lost)
    assert lost == expected["lost_records"]["default"]
    damaged.start()
    with damaged.attach() as log:
        payloads = [record.payload for record in log.read()]
        assert len(payloads) == RECORDS - lost
        assert log.append(b"new", durability="synced", timeout=5) >= expected["resume_lsn"]
        assert next(log.read(expected["resume_lsn"])).seq > RECORDS
    assert logstore.repair(other, dry_run=True).problems == ()
