"""The committer dies exactly between taking segments out of the manifest and removing their files:
the next one removes them, and nothing else."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import logstore
from logstore import NotFound
from logstore.files import Directory
from logstore.segments import manifest as manifests
from logstore.segments.segment import segment_name
from tests.conftest import Serve
from tests.fail_points import FailPoints, until_fired
from tests.service import Service, until

pytestmark = pytest.mark.crash

SEGMENT = 1 << 14
COMPACTION = ("compact.saved", "compact.unlinked", "compact.unlinked:3")


def listed(service: Service) -> set[str]:
    """Return the names of the sealed segments that the manifest lists."""
    with Directory.open(service.path, create=False) as directory:
        found = manifests.load(directory)
    assert found is not None
    return {segment_name(one.base_lsn) for one in found.sealed}


def files(service: Service) -> set[str]:
    """Return the names of all segments that are there."""
    return {path.name for path in service.path.glob("*.seg")}


def fill(log: logstore.Log, count: int = 200) -> None:
    """Append records of one group, and of another in the middle of the log."""
    for number in range(count):
        group = "given up" if count // 4 <= number < count * 3 // 4 else "kept"
        log.group(group).append(b"%d" % number + bytes(1000))
    log.sync()


def kept(log: logstore.Log) -> list[int]:
    """Return the numbers of the records that are not given up."""
    return [int(bytes(r.payload).rstrip(b"\0")) for r in log.read(group="kept")]


@pytest.mark.parametrize("everybody", [False, True], ids=["the committer", "everybody"])
@pytest.mark.parametrize("point", COMPACTION)
def test_what_compaction_had_no_time_to_remove_is_removed_by_the_next_committer(
    point: str, everybody: bool, serve: Serve, armed: FailPoints, tmp_path: Path
) -> None:
    once = tmp_path / "once"
    service = serve(
        segment_size=SEGMENT,
        ring_size=1 << 16,
        environment=armed.arm(point, role="committer", once=once),
    )
    with service.attach() as log:
        fill(log)
        supervisor = service.send("supervisor", signal.SIGSTOP)  # it replaces nobody for now
        log.group("given up").checkpoint(up_to=100)
        log.sync()
        log.compact(wait=False)
        until_fired(once)
        until(lambda: not service.is_alive("committer"), "the committer has died")
        # What lies behind is not sealed yet.
        left = {name for name in files(service) - listed(service) if name < max(listed(service))}
        assert left, "it had time to remove all"
        if everybody:
            service.kill_all()
            service.environment = {}
            service.start()
        else:
            os.kill(supervisor, signal.SIGCONT)
    expected = listed(service)
    until(lambda: not left & files(service), "what was left is gone")
    assert expected <= files(service)
    with service.attach() as log:
        assert kept(log) == [*range(50), *range(150, 200)]
        log.revert(log.append(b"a mistake"))  # the log goes on as ever
        log.compact(timeout=10.0)
    assert service.stop() == 0
    assert files(service) == listed(service)
    service.environment = {}
    service.start()
    with service.attach() as log:
        assert kept(log) == [*range(50), *range(150, 200)]


def is_gone(group: logstore.Group, seq: int) -> bool:
    """Tell whether a record is not to be found by its seq."""
    try:
        group.load(seq)
    except NotFound:
        return True
    return False


def test_what_is_found_to_be_gone_is_not_read_out_of_the_ring(
    serve: Serve, armed: FailPoints, tmp_path: Path
) -> None:
    once = tmp_path / "once"
    service = serve(
        segment_size=SEGMENT,
        ring_size=1 << 18,
        environment=armed.arm("compact.unlinked", role="committer", once=once),
    )
    with service.attach() as log:
        fill(log, count=56)  # few enough to be read from the ring
        supervisor = service.send("supervisor", signal.SIGSTOP)  # it replaces nobody for now
        group = log.group("given up")
        group.checkpoint(up_to=28)
        log.sync()
        log.compact(wait=False)
        until_fired(once)
        until(lambda: not service.is_alive("committer"), "the committer has died")
        gone = {seq for seq in range(1, 29) if is_gone(group, seq)}
        assert gone
        assert not gone & {record.seq for record in log.read(group="given up")}
        os.kill(supervisor, signal.SIGCONT)
        assert kept(log) == [*range(14), *range(42, 56)]
