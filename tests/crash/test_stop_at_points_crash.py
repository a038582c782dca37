"""SIGSTOP at every named point of every role and of a writer, then SIGCONT: nobody is replaced,
nothing is repaired or taken, and all go on."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil
import pytest

from logstore import RingFull, Timeout
from tests.conftest import Serve
from tests.crash.load import RING, Load
from tests.crash.test_service_points_crash import (
    COMMITTER,
    SEGMENT,
    START,
    STOP_COMMITTER,
    STOP_SUPERVISOR,
    SYNCER,
    leave_records_in_the_ring,
)
from tests.crash.test_writer_points_crash import IN_A_BATCH, IN_AN_APPEND, OURS, theirs
from tests.fail_points import FailPoints, until_fired
from tests.oracle import Oracle
from tests.service import ROLES, Service, processes_of, until
from tests.writers import Writers

pytestmark = [pytest.mark.crash, pytest.mark.slow]

GOES_ON_S: Final = 2.0
COUNT: Final = 50
STANDS_S: Final = 0.6  # longer than anybody waits before he looks for the dead
STOPS: Final = {"LOGSTORE_FAIL_SIGNAL": str(int(signal.SIGSTOP))}


def stopping(armed: FailPoints, point: str, role: str, once: Path) -> dict[str, str]:
    """Return the environment in which a role stops once, at a point."""
    return armed.arm(point, role=role, once=once) | STOPS


def the_stopped(service: Service) -> psutil.Process:
    """Wait until one of a service's processes stands still, and return it."""

    def found() -> list[psutil.Process]:
        return [one for one in processes_of(service.path) if one.status() == "stopped"]

    until(found, "somebody stands still")
    (process,) = found()
    return process


@contextmanager
def going_on(process: psutil.Process) -> Iterator[None]:
    """Let a process go on after the block."""
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("role", "point"),
    [("committer", point) for point in COMMITTER] + [("syncer", point) for point in SYNCER],
)
def test_a_worker_that_stands_still_at_a_point_is_waited_for(
    role: str,
    point: str,
    serve: Serve,
    writers: Writers,
    oracle: Oracle,
    armed: FailPoints,
    tmp_path: Path,
) -> None:
    once = tmp_path / "once"
    environment = stopping(armed, point, role, once)
    service = serve(ring_size=RING, segment_size=SEGMENT, environment=environment)
    for flags in (
        ["--durability", "synced"],
        ["--batch", "5", "--sizes", "0-900", "--sync-every", "8"],
        ["--reserve", "--sizes", "100", "--sync-every", "8"],
    ):
        writers.start(service.name, *flags)
    until_fired(once)
    process = the_stopped(service)
    pids = {name: service.pid(name) for name in ROLES}
    assert process.pid == pids[role]
    with going_on(process), service.attach() as log, pytest.raises((Timeout, RingFull)):
        log.append(OURS, durability="synced", timeout=STANDS_S)
    oracle.until_acked_after(writers.processes, time.monotonic_ns(), GOES_ON_S)
    assert {name: service.pid(name) for name in ROLES} == pids
    with service.attach() as log:
        counters = log.status().counters
    assert counters["committer_restarts"] == counters["syncer_restarts"] == 0
    assert counters["repairs"] == 0
    writers.stop()
    judge(service, oracle)


def judge(service: Service, oracle: Oracle) -> None:
    """Compare with the oracle, and once more after a clean restart."""
    oracle.until_all_told()
    records = service.read_all()
    oracle.check(theirs(records))
    assert service.stop() == 0
    service.start()
    assert service.read_all() == records


@pytest.mark.parametrize("flags", [(), ("--batch", "5")], ids=["append", "append_many"])
@pytest.mark.parametrize("point", sorted({*IN_AN_APPEND, *IN_A_BATCH}))
def test_a_writer_that_stands_still_at_a_point_is_never_robbed(
    point: str,
    flags: tuple[str, ...],
    serve: Serve,
    writers: Writers,
    oracle: Oracle,
    armed: FailPoints,
    tmp_path: Path,
) -> None:
    once = tmp_path / "once"
    once.touch()
    name, _, number = point.partition(":")
    environment = armed.arm(f"{name}:{int(number or 1) + 3}") | STOPS
    environment |= {"LOGSTORE_FAIL_ONCE": str(once)}
    service = serve(ring_size=RING, segment_size=SEGMENT)
    slow = writers.start(service.name, "--count", str(COUNT), *flags, environment_=environment)
    until_fired(once)
    process = psutil.Process(writers.pid(slow))
    until(lambda: process.status() == "stopped", "the writer stands still")
    with service.attach() as log:
        with going_on(process):
            try:
                log.append(OURS, durability="synced", timeout=STANDS_S)
            except (Timeout, RingFull):
                # It waits for the guard or for the record in flight: nobody helps himself.
                assert log.status().counters["aborts"] == 0
            assert log.status().counters["repairs"] == 0
        log.append(OURS, durability="synced", timeout=GOES_ON_S)
        assert log.status().counters["aborts"] == log.status().counters["repairs"] == 0
    writers.expect(slow, 0)
    oracle.until_all_told()
    assert len(oracle.check(theirs(service.read_all()))) == COUNT
    judge(service, oracle)


class Answer(threading.Thread):
    """A call that takes as long as somebody stands still."""

    def __init__(self, call: Callable[[], object]) -> None:
        super().__init__()
        self._call = call
        self.result: object = None

    def run(self) -> None:
        self.result = self._call()


@pytest.mark.parametrize(
    ("role", "point"),
    [("committer", point) for point in STOP_COMMITTER]
    + [("supervisor", point) for point in STOP_SUPERVISOR],
)
def test_who_stands_still_while_the_service_stops_is_waited_for(
    role: str, point: str, serve: Serve, oracle: Oracle, armed: FailPoints, tmp_path: Path
) -> None:
    once = tmp_path / "once"
    service = serve(environment=stopping(armed, point, role, once))
    with service.attach() as log:
        load = Load(log, oracle)
        for _ in range(5):
            load.turn()
        load.end()
    answer = Answer(service.stop)
    answer.start()
    until_fired(once)
    process = the_stopped(service)
    with going_on(process):
        answer.join(STANDS_S)
        assert answer.is_alive()
    answer.join(10.0)
    assert answer.result == 0, service.messages()
    service.environment = {}
    service.start()
    judge(service, oracle)


@pytest.mark.parametrize("point", START)
def test_a_supervisor_that_stands_still_while_it_starts_goes_on(
    point: str, serve: Serve, oracle: Oracle, armed: FailPoints, tmp_path: Path
) -> None:
    service = serve(segment_size=SEGMENT, ring_size=RING)
    with service.attach() as log:
        load = Load(log, oracle)
    leave_records_in_the_ring(service, load)
    load.end()
    once = tmp_path / "once"
    service.environment = stopping(armed, point, "supervisor", once)
    answer = Answer(service.try_start)
    answer.start()
    until_fired(once)
    process = the_stopped(service)
    with going_on(process):
        refused = Service(service.path, service.name, service.options).try_start()
        assert refused is not None
        assert refused["error"] == "InUse"
    answer.join(10.0)
    assert answer.result == {}
    judge(service, oracle)
