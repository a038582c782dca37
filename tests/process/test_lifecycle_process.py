"""Services come up once, are found, and go away cleanly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import logstore
from logstore import InUse, NotRunning
from logstore.service import open_client
from tests.conftest import Serve
from tests.process.test_stopping_process import is_clean
from tests.service import Service, environment, processes_of, shared_objects, until

pytestmark = pytest.mark.process

OPEN_AND_APPEND = """
import os, sys, logstore
with logstore.open(sys.argv[1]) as log:
    lsn = log.append(str(os.getpid()).encode(), durability="synced")
    supervisors = [c.pid for c in log.status().clients if c.role == "supervisor"]
    print(lsn, *supervisors, flush=True)
    sys.stdin.read()
"""


def test_eight_processes_that_open_at_once_start_one_service(clean_place: Path) -> None:
    openers = [
        subprocess.Popen(
            [sys.executable, "-P", "-c", OPEN_AND_APPEND, str(clean_place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            text=True,
        )
        for _ in range(8)
    ]
    lines = []
    for opener in openers:
        assert opener.stdout is not None
        lines.append([int(word) for word in opener.stdout.readline().split()])
    for opener in openers:
        opener.communicate()
        assert opener.returncode == 0
    assert len({line[1] for line in lines}) == 1
    with logstore.open(clean_place) as log:
        records = {record.lsn: int(record.payload) for record in log.read()}
    assert records == {line[0]: opener.pid for line, opener in zip(lines, openers, strict=True)}


def test_a_second_supervisor_says_who_runs_the_directory_and_ends(serve: Serve) -> None:
    service = serve()
    second = Service(service.path, service.name)
    answer = second.try_start()
    assert answer is not None
    assert (answer["error"], answer["pid"]) == ("InUse", service.pid("supervisor"))
    assert second.process is not None
    assert second.process.wait(10) != 0
    with service.attach() as log:
        log.append(b"", durability="synced", timeout=5)


def test_opening_twice_attaches_to_the_one_service(serve: Serve) -> None:
    service = serve()
    with logstore.open(service.path) as one, logstore.open(service.path, name=service.name) as two:
        lsn = one.append(b"one")
        assert two.load(lsn).payload == b"one"
        assert one.status().uuid == two.status().uuid
        pids = [c.pid for c in two.status().clients if c.role == "supervisor"]
        assert pids == [service.pid("supervisor")]


def test_a_running_log_has_one_name(serve: Serve) -> None:
    service = serve()
    with pytest.raises(InUse, match=f"under the name '{service.name}'"):
        logstore.open(service.path, name="another")


def test_two_logs_may_not_have_one_name(serve: Serve, places: Iterator[Path]) -> None:
    service = serve()
    other = next(places)
    with pytest.raises(InUse, match="another name") as caught:
        logstore.open(other, name=service.name)
    assert caught.value.path == service.path
    assert not list(other.glob("*.seg"))


def test_a_killed_logs_name_is_kept_for_it_and_its_records_are_not_lost(
    serve: Serve, places: Iterator[Path]
) -> None:
    service = serve()
    with service.attach() as log:
        service.send("committer", signal.SIGSTOP)
        lsn = log.append(b"only in the ring")
        service.kill_all()
    with pytest.raises(InUse, match="killed and not recovered"):
        logstore.open(next(places), name=service.name)
    renamed = Service(service.path, f"{service.name}-new")
    try:
        renamed.start()
        with renamed.attach() as log:
            assert log.load(lsn).payload == b"only in the ring"
        assert shared_objects(service.name) == shared_objects(renamed.name)
    finally:
        renamed.clean_up()


def test_a_service_that_open_started_ends_by_itself_and_can_be_opened_again_at_once(
    clean_place: Path,
) -> None:
    lsns = []
    for _ in range(3):
        with logstore.open(clean_place) as log:
            lsns.append(log.append(b"x"))
        until(lambda: not processes_of(clean_place), "the service has ended by itself", 15)
        assert is_clean(clean_place)
        assert shared_objects(clean_place.name) == []
    with logstore.open(clean_place) as log:
        assert [record.lsn for record in log.read()] == lsns


def test_opening_while_the_service_is_leaving_never_fails(clean_place: Path, seed: int) -> None:
    del seed
    flags: dict[str, object] = {"linger_s": 0.05, "ring_size": 1 << 20}
    lsns = []
    for n in range(7):
        client = open_client(clean_place, name=None, flags=dict(flags))
        lsns.append(client.ring.append(b"%d" % n))
        client.close()
        # Around the moment at which the service decides to leave, earlier and later.
        time.sleep(0.2 + 0.04 * n)
    with logstore.open(clean_place) as log:
        log.sync(timeout=10)
        assert [record.lsn for record in log.read()] == lsns


def test_files_in_the_working_directory_do_not_get_into_the_service(
    clean_place: Path, tmp_path: Path
) -> None:
    # A script's neighbours often have names of the standard library.
    for name in ("queue.py", "select.py", "logging.py", "json.py"):
        (tmp_path / name).write_text("raise SystemExit('imported by accident')\n")
    done = subprocess.run(
        [sys.executable, "-P", "-c", OPEN_AND_APPEND, str(clean_place)],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()


def test_a_service_that_cannot_even_start_is_told_soon(
    clean_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    began = time.monotonic()
    with pytest.raises(NotRunning, match=r"service\.log"):
        logstore.open(clean_place)
    assert time.monotonic() - began < 10


def all_timed(status: logstore.Status) -> bool:
    """Tell whether no sync was counted just now: its number comes before its time."""
    return sum(status.histograms["sync_time"]) == status.counters["syncs"]


def test_status_counts_what_happened(serve: Serve) -> None:
    service = serve(segment_size=1 << 16)
    with service.attach() as log:
        for n in range(300):
            log.append(bytes(500), durability="synced" if n % 50 == 0 else "ring")
        log.append_many([b"a", b"b"])
        log.sync(timeout=5)
        drained = log.status().watermarks
        # Counted just behind the watermark: a committer killed between the two forgets one drain.
        until(
            lambda: log.status().counters["drain_bytes"] >= drained.written - drained.start,
            "all drains are counted",
        )
        old = service.kill("committer")
        service.until_restarted("committer", old)
        log.append(b"", durability="synced", timeout=5)
        until(lambda: log.status().segments >= 3, "three segments")
        found = log.status()
        counters = found.counters
        assert (counters["appends"], counters["batches"]) == (303, 1)
        assert counters["bytes"] >= 300 * 500 + 2
        assert counters["drain_bytes"] <= found.watermarks.written - found.watermarks.start
        assert counters["rotations"] >= 2
        assert counters["syncs"] >= 6
        assert (counters["committer_restarts"], counters["syncer_restarts"]) == (1, 0)
        until(lambda: all_timed(log.status()), "each sync's time is counted")
        assert sum(found.histograms["durable_wait"]) >= 6
        assert (found.name, found.path, found.state) == (service.name, service.path, "running")
        me = [client for client in found.clients if client.pid == os.getpid()]
        assert [client.appends for client in me] == [303]
        roles = {client.role: client.pid for client in found.clients if client.role}
        assert roles == {role: service.pid(role) for role in roles}
        assert len(roles) == 3
        assert found.as_dict()["path"] == str(service.path)
