"""Services stop cleanly when told to, at any time, and what holds them up is never lost."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

import logstore
from logstore import NotRunning
from logstore.files import Directory
from logstore.segments import manifest
from tests.conftest import Serve
from tests.service import Service, environment, processes_of, shared_objects, until

pytestmark = pytest.mark.process


def is_clean(path: Path) -> bool:
    """Tell whether the manifest says that the log was shut down in order."""
    with Directory.open(path, create=False) as directory:
        found = manifest.load(directory)
    return found is not None and found.clean


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_service_cleanly(number: signal.Signals, serve: Serve) -> None:
    service = serve()
    with service.attach() as log:
        lsn = log.append(b"last words")
        pids = [process.pid for process in processes_of(service.path)]
        assert service.stop(number) == 0
        with pytest.raises(NotRunning):
            log.append(b"too late")
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert shared_objects(service.name) == []
    assert is_clean(service.path)
    assert sorted(p.suffix or p.name for p in service.path.iterdir()) == [
        ".seg",
        "MANIFEST",
        "lock",
    ]
    service.start()
    with service.attach() as log:
        assert [record.lsn for record in log.read()] == [lsn]


def test_workers_ignore_the_signals_of_a_terminal(serve: Serve) -> None:
    service = serve()
    pids = [service.send(role, signal.SIGINT) for role in ("committer", "syncer")]
    for role in ("committer", "syncer"):
        service.send(role, signal.SIGTERM)
    with service.attach() as log:
        log.append(b"still here", durability="synced", timeout=5)
    assert [service.pid(role) for role in ("committer", "syncer")] == pids


def test_a_signal_during_the_start_leaves_nothing_behind(place: Path) -> None:
    for _ in range(3):
        service = Service(place, place.name)
        try:
            service.path.mkdir(exist_ok=True)
            process = subprocess.Popen(
                [sys.executable, "-m", "logstore.workers.supervisor", str(place)],
                stderr=subprocess.PIPE,
                cwd=place.parent,
                env=environment(),
            )
            # From here on its handlers stand: the first worker is started after that.
            until(lambda: processes_of(place)[1:], "a worker is being started", 20)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=20)
            assert b"Traceback" not in said
            assert process.returncode == 0, said.decode()
            assert shared_objects(place.name) == []
            assert processes_of(place) == []
        finally:
            service.clean_up()


def begin_to_stop(service: Service, log: logstore.Log) -> None:
    """Tell a service to stop, and wait until it takes no records any more."""
    service.send("supervisor", signal.SIGTERM)
    until(lambda: log.status().state == "draining", "the service is stopping")


@pytest.mark.slow
def test_a_stop_that_a_live_writer_holds_up_gives_up_and_the_log_can_be_opened_again(
    serve: Serve,
) -> None:
    service = serve()
    with service.attach() as log, log.reserve(6) as reservation:
        assert service.stop() != 0  # nothing is taken from the living
        service.start()
        with service.attach() as other:
            other.append(b"second")
            reservation.buffer[:] = b"first!"
    assert [record.payload for record in service.read_all()] == [b"first!", b"second"]


def test_a_service_killed_while_it_stops_is_taken_up_again_with_its_clients(serve: Serve) -> None:
    service = serve()
    with service.attach() as log, log.reserve(6) as reservation:
        begin_to_stop(service, log)
        service.kill_all()
        service.start()
        log.append(b"second")
        reservation.buffer[:] = b"first!"
    assert [record.payload for record in service.read_all()] == [b"first!", b"second"]


def test_a_new_supervisor_lets_a_stop_come_to_its_end_before_it_starts_the_log_anew(
    serve: Serve,
) -> None:
    service = serve()
    log = service.attach()
    with log.reserve(6) as reservation:
        begin_to_stop(service, log)
        service.kill("supervisor")  # the committer lives, and closes the log once it can
        starting = threading.Thread(target=service.start)
        starting.start()
        reservation.buffer[:] = b"first!"
    starting.join(20)
    with pytest.raises(NotRunning):
        log.append(b"refused")
    log.close()
    with service.attach() as log:
        log.append(b"second")
    assert [record.payload for record in service.read_all()] == [b"first!", b"second"]
