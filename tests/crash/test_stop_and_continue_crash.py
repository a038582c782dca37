"""SIGSTOP, then SIGCONT: nothing is taken from who is slow, the stall is told, and all go on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from logstore import Record, RingFull, Timeout
from tests.conftest import Serve
from tests.fail_points import FailPoints
from tests.oracle import Oracle
from tests.service import ROLES, Service, stopped, until
from tests.writers import Writers

pytestmark = pytest.mark.crash

GOES_ON_S = 2.0
OURS = b"~"
STOPS = {"LOGSTORE_FAIL_SIGNAL": str(int(signal.SIGSTOP))}
HOLDS = {"syncer": "sync", "committer": "drain"}


@pytest.fixture
def busy(serve: Serve, writers: Writers) -> Iterator[Service]:
    """Return a service with three writers at work, judged afterwards."""
    service = serve(ring_size=1 << 16, segment_size=1 << 16)
    for flags in (
        ["--durability", "synced"],
        ["--batch", "5", "--sizes", "0-900", "--sync-every", "8"],
        ["--reserve", "--sizes", "100", "--sync-every", "8"],
    ):
        writers.oracle.until_acked(writers.start(service.name, *flags), 20)
    yield service
    writers.oracle.until_acked_after(writers.processes, time.monotonic_ns(), GOES_ON_S)
    writers.stop()
    writers.oracle.until_all_told()
    writers.oracle.check(ours_left_out(service))


def ours_left_out(service: Service) -> list[Record]:
    """Read everything but what the tests here appended."""
    return [record for record in service.read_all() if record.payload != OURS]


@pytest.mark.parametrize("role", ["committer", "syncer", "supervisor"])
def test_a_stopped_role_is_waited_for_and_never_replaced(
    role: str, busy: Service, oracle: Oracle
) -> None:
    pids = {name: busy.pid(name) for name in ROLES}
    with busy.attach() as log:
        with stopped(pids[role]):
            if role == "supervisor":
                oracle.until_acked_after([1, 2, 3], time.monotonic_ns(), GOES_ON_S)
            else:
                # It may have been appended, or not: the ring may be full by now.
                with pytest.raises((Timeout, RingFull)):
                    log.append(OURS, durability="synced", timeout=0.6)
                until(lambda: log.status().stall, "the stall is told")
                stall = log.status().stall
                assert stall is not None
                assert (stall["holds"], stall["pid"]) == (HOLDS[role], pids[role])
                assert 1.0 <= stall["age_s"] < 10.0
                told = f"the {role}, pid {pids[role]}, stands at LSN {stall['lsn']}"
                until(lambda: told in busy.messages(), "the supervisor's log names the role")
        until(lambda: log.status().stall is None, "it is told that all go on")
        assert {name: busy.pid(name) for name in ROLES} == pids
        counters = log.status().counters
    assert counters["committer_restarts"] == counters["syncer_restarts"] == 0


def test_a_committer_stopped_with_a_mark_in_flight_is_named(
    serve: Serve, armed: FailPoints, tmp_path: Path
) -> None:
    once = tmp_path / "once"
    service = serve(environment=armed.arm("mark.reserved", role="committer", once=once) | STOPS)
    with service.attach() as log:
        lsn = log.append(OURS)
        pid = service.pid("committer")
        until(lambda: psutil.Process(pid).status() == "stopped", "the committer has stopped")
        until(lambda: log.status().stall, "the stall is told")
        stall = log.status().stall
        assert stall is not None
        assert (stall["holds"], stall["pid"]) == ("drain", pid)
        os.kill(pid, signal.SIGCONT)
        log.wait(lsn, timeout=GOES_ON_S)
        until(lambda: log.status().stall is None, "it is told that all go on")


@pytest.mark.parametrize("point", ["reserve.intent", "reserve.header", "reserve.head"])
def test_a_writer_stopped_inside_the_guard_holds_it_until_it_goes_on(
    point: str, serve: Serve, writers: Writers, oracle: Oracle, armed: FailPoints
) -> None:
    service = serve()
    environment = armed.arm(f"{point}:5") | STOPS
    slow = writers.start(service.name, "--count", "10", environment_=environment)
    pid = writers.pid(slow)
    until(lambda: psutil.Process(pid).status() == "stopped", "the writer is in the guard")
    with service.attach() as log:
        with pytest.raises(RingFull, match="guard stayed busy"):
            log.append(OURS, timeout=0.7)
        # Whoever has reserved already also holds up the committer, which may tell of it first.
        until(lambda: (log.status().stall or {}).get("holds") == "guard", "the stall is told")
        stall = log.status().stall
        assert stall is not None
        assert stall["pid"] == pid
        assert stall["lsn"] == log.watermarks().reserved
        assert 1.0 <= stall["age_s"] < 10.0
        told = f"pid {pid} does not leave the guard at LSN {stall['lsn']}"
        until(lambda: told in service.messages(), "the supervisor's log names the writer")
        assert log.status().counters["repairs"] == 0
        os.kill(pid, signal.SIGCONT)
        log.append(OURS, durability="synced", timeout=GOES_ON_S)
        until(lambda: log.status().stall is None, "it is told that all go on")
    writers.expect(slow, 0)
    oracle.until_all_told()
    assert len(oracle.check(ours_left_out(service))) == 10


@pytest.mark.parametrize("point", ["fill.copied", "publish.word"])
def test_a_writer_stopped_with_a_record_in_flight_is_named_and_never_robbed(
    point: str, serve: Serve, writers: Writers, oracle: Oracle, armed: FailPoints
) -> None:
    service = serve()
    environment = armed.arm(f"{point}:5") | STOPS
    slow = writers.start(service.name, "--count", "10", environment_=environment)
    pid = writers.pid(slow)
    until(lambda: psutil.Process(pid).status() == "stopped", "the writer has stopped")
    with service.attach() as log:
        lsn = log.append(OURS)
        with pytest.raises(Timeout):
            log.wait(lsn, "written", timeout=0.3)
        until(lambda: log.status().stall, "the stall is told")
        stall = log.status().stall
        assert stall is not None
        assert (stall["holds"], stall["pid"]) == ("record", pid)
        assert stall["lsn"] == log.watermarks().written
        until(lambda: str(pid) in service.messages(), "the supervisor's log names the writer")
        os.kill(pid, signal.SIGCONT)
        log.wait(lsn, timeout=GOES_ON_S)
        assert log.status().stall is None
        assert log.status().counters["aborts"] == 0
    writers.expect(slow, 0)
    oracle.until_all_told()
    assert len(oracle.check(ours_left_out(service))) == 10
