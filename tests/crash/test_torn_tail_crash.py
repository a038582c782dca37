"""After a crash that took the shared memory along: a torn tail is cut, a copy is kept, and nothing
that reached the files is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

import logstore
from logstore import Corruption
from logstore.files import Directory
from logstore.ring import region
from logstore.ring._ring import LAYOUT
from logstore.ring.layout import State
from logstore.segments.recover import recover
from tests.conftest import Serve
from tests.fail_points import FailPoints
from tests.oracle import Oracle
from tests.service import Service
from tests.writers import Writers

pytestmark = pytest.mark.crash

TORN = ("recover.copied", "renew.written", "renew.renamed")
GARBAGE = bytes(range(1, 256)) * 3


@pytest.fixture
def crashed(serve: Serve, writers: Writers) -> Service:
    """Return a service that was killed with its writers, its shared memory gone, its tail torn."""
    service = serve(segment_size=1 << 16)
    for flags in (["--durability", "written"], ["--batch", "5", "--sync-every", "4"]):
        writers.oracle.until_acked(writers.start(service.name, *flags), 300)
    writers.kill()
    service.kill_all()
    writers.oracle.until_all_told()
    region.unlink(service.name)
    tear(service.path)
    return service


def newest_segment(path: Path) -> Path:
    """Return the segment that was being written."""
    return max(path.glob("*.seg"))


def tear(path: Path) -> None:
    """Write garbage behind the last frame."""
    segment = newest_segment(path)
    data = segment.read_bytes()
    end = len(data.rstrip(b"\0")) + 40
    segment.write_bytes(data[:end] + GARBAGE + data[end + len(GARBAGE) :])


def contents(path: Path) -> dict[str, bytes]:
    """Return all files of a data directory that recovery makes or changes."""
    files = [file for file in path.rglob("*") if file.is_file() and file.name != "lock"]
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(files)}


def test_a_torn_tail_is_cut_with_a_copy_kept_and_what_was_written_is_there(
    crashed: Service, oracle: Oracle
) -> None:
    crashed.start()
    oracle.check(crashed.read_all(), spared=("written", "synced"))
    (copy,) = (crashed.path / "quarantine").iterdir()
    assert GARBAGE in copy.read_bytes()
    with crashed.attach() as log:
        assert log.status().epoch == 2
        log.append(b"goes on", durability="synced", timeout=5)


@pytest.mark.parametrize("point", [*TORN[:2], pytest.param(TORN[2], marks=pytest.mark.slow)])
def test_a_supervisor_that_dies_at_a_point_of_the_recovery_is_repeated(
    point: str, crashed: Service, oracle: Oracle, armed: FailPoints, tmp_path: Path
) -> None:
    once = tmp_path / "once"
    crashed.environment = armed.arm(point, role="supervisor", once=once)
    assert crashed.try_start() is None
    assert not once.exists()
    crashed.environment = {}
    crashed.start()
    oracle.check(crashed.read_all(), spared=("written", "synced"))
    assert len(list((crashed.path / "quarantine").iterdir())) == 1


@pytest.mark.parametrize(
    "point", ["renew.renamed", pytest.param("renew.written", marks=pytest.mark.slow)]
)
def test_a_supervisor_that_dies_while_it_recovers_a_log_that_failed_is_repeated(
    point: str, serve: Serve, armed: FailPoints, tmp_path: Path
) -> None:
    service = serve()
    with service.attach() as log:
        log.append(b"durable", durability="synced")
        log._ring.store(LAYOUT["state"], State.FAILED)
    service.kill_all()
    segment = newest_segment(service.path)
    before = segment.stat().st_ino
    once = tmp_path / "once"
    service.environment = armed.arm(point, role="supervisor", once=once)
    assert service.try_start() is None
    assert not once.exists()
    assert (segment.stat().st_ino == before) == (point == "renew.written")
    service.environment = {}
    service.start()
    assert [record.payload for record in service.read_all()] == [b"durable"]


def test_recovery_run_twice_gives_the_same_bytes(crashed: Service, tmp_path: Path) -> None:
    copy = crashed.copy(tmp_path / "copy")
    with Directory.open(copy, create=False) as directory:
        recover(directory)
        once = contents(copy)
        recover(directory)
    assert contents(copy) == once


def test_damage_below_what_was_durable_is_refused_with_its_place_and_nothing_is_changed(
    serve: Serve,
) -> None:
    crashed = serve(segment_size=1 << 16)
    with crashed.attach() as log:
        for _ in range(3):  # each says that those before it were durable, in the same segment
            log.append(b"durable" * 10, durability="synced")
    crashed.kill_all()
    region.unlink(crashed.name)
    tear(crashed.path)
    segment = newest_segment(crashed.path)
    with segment.open("r+b") as file:
        file.seek(4096 + 40)
        file.write(b"\xff" * 8)
    before = contents(crashed.path)
    for _ in range(2):
        answer = crashed.try_start()
        assert answer is not None
        assert answer["error"] == "Corruption"
        assert answer["segment"] == segment.name
        assert isinstance(answer["offset"], int)
        assert answer["lsn"] == int(segment.stem) + answer["offset"] - 4096
    with pytest.raises(Corruption, match=segment.name):
        logstore.open(crashed.path)
    after = contents(crashed.path)
    after.pop("service.log")
    assert after == before
