"""Several services start for one directory, or for one name, at the same time; and what was left by
one that failed, or that died while the log got another name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import logstore
from logstore import LogstoreError
from logstore.ring._ring import LAYOUT
from logstore.ring.layout import State
from tests.conftest import Serve
from tests.fail_points import FailPoints
from tests.service import Service, environment, kill, shared_objects, until

pytestmark = pytest.mark.crash

IN_USE = 5  # exit code
RENAMING = (
    "start.recovered",
    "start.unlinked",
    "manifest.written:2",
    "manifest.renamed:2",
    "create.allocated",
    "create.done",
    "start.workers",
)


def start_many(count: int, place: Path) -> list[subprocess.Popen[bytes]]:
    """Start so many services of one directory at once."""
    command = [sys.executable, "-P", "-m", "logstore.cli", "serve", str(place)]
    return [
        subprocess.Popen(
            [*command, "--ring-size", "64KiB", "--segment-size", "64KiB"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        for _ in range(count)
    ]


def race(count: int, place: Path) -> None:
    """Start so many at once: one serves, and all the others say so and end."""
    started = start_many(count, place)
    try:
        until(lambda: sum(p.poll() is None for p in started) == 1, "all but one gave up", 120)
        (winner,) = (process for process in started if process.poll() is None)
        for loser in (process for process in started if process is not winner):
            assert loser.stderr is not None
            said = loser.stderr.read().decode()
            assert loser.returncode == IN_USE, said
            assert "another supervisor serves this directory" in said
        with logstore.open(place) as log:
            assert log.status().clients[0].pid == winner.pid
            log.append(b"served", durability="synced", timeout=10)
        winner.terminate()
        assert winner.wait(30) == 0
    finally:
        for process in started:
            process.kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()


def test_of_ten_services_that_start_at_once_one_serves(clean_place: Path) -> None:
    for _ in range(2):
        race(5, clean_place)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_of_two_hundred_services_that_start_at_once_one_serves(clean_place: Path) -> None:
    for _ in range(20):
        race(10, clean_place)


def test_the_second_service_says_whose_the_directory_is(serve: Serve) -> None:
    service = serve()
    answer = Service(service.path, service.name).try_start()
    assert answer is not None
    assert answer["error"] == "InUse"
    assert answer["pid"] == service.pid("supervisor")


def test_of_two_directories_that_take_a_name_at_the_same_instant_one_gets_it(
    serve: Serve, armed: FailPoints, tmp_path: Path
) -> None:
    first, name = tmp_path / "first", serve().name
    slow = Service(first, f"{name}-both")
    slow.environment = armed.arm("start.recovered", role="supervisor") | {
        "LOGSTORE_FAIL_SIGNAL": str(int(signal.SIGSTOP))
    }
    command = [sys.executable, "-P", "-m", "logstore.workers.supervisor", str(first)]
    command += ["--name", slow.name]
    first.mkdir()
    late = subprocess.Popen(command, env=environment(slow.environment), stderr=subprocess.PIPE)
    try:
        until(
            lambda: psutil.Process(late.pid).status() == "stopped", "it is about to take the name"
        )
        quick = serve(tmp_path / f"{name}-both")
        with quick.attach() as log:
            log.append(b"mine", durability="synced", timeout=5)
        os.kill(late.pid, signal.SIGCONT)
        assert late.wait(20) == 1
        assert late.stderr is not None
        assert "another log has the name" in late.stderr.read().decode()
        with quick.attach() as log:
            log.append(b"still mine", durability="synced", timeout=5)
        assert [record.payload for record in quick.read_all()] == [b"mine", b"still mine"]
    finally:
        late.kill()
        late.wait()
        assert late.stderr is not None
        late.stderr.close()


@pytest.mark.parametrize("point", RENAMING)
def test_a_log_that_gets_another_name_leaves_nothing_of_the_old_one(
    point: str, serve: Serve, armed: FailPoints, tmp_path: Path
) -> None:
    service = serve()
    old = service.name
    with service.attach() as log:
        log.append(b"named", durability="ring")
    service.kill_all()
    service.name = f"{old}-new"
    once = tmp_path / "once"
    service.environment = armed.arm(point, role="supervisor", once=once)
    assert service.try_start() is None
    assert not once.exists()
    service.environment = {}
    service.start()
    assert [record.payload for record in service.read_all()] == [b"named"]
    assert shared_objects(old) == [f"logstore.{service.name}", f"sem.logstore.{service.name}"]


@pytest.mark.parametrize("alone", [True, False], ids=["workers dead", "workers alive"])
def test_a_log_that_failed_is_recovered_though_clients_are_attached(
    alone: bool, serve: Serve
) -> None:
    service = serve()
    with service.attach() as old:
        old.append(b"durable", durability="synced")
        workers = [service.pid("committer"), service.pid("syncer")]
        old._ring.store(LAYOUT["state"], State.FAILED)
        service.kill("supervisor")
        if alone:
            for pid in workers:
                kill(pid)
        service.start()
        with pytest.raises(LogstoreError):
            old.append(b"in the epoch that failed", timeout=1)
        with service.attach() as log:
            assert log.status().epoch == 2
            assert not set(workers) & {client.pid for client in log.status().clients}
            log.append(b"goes on", durability="synced", timeout=5)
    assert [record.payload for record in service.read_all()] == [b"durable", b"goes on"]
