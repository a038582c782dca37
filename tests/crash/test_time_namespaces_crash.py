"""Processes of one log whose monotonic clocks differ by a day, or by half a minute the other way:
everything ends when it should, nothing storms, and what is told of ages is right."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from logstore.ring._ring import LAYOUT
from logstore.ring.layout import Mode, State
from tests.conftest import Serve
from tests.service import ROOT, Service, environment, kill, until

AT_ONCE_S: Final = 1.0
AHEAD: Final = 86400
BEHIND: Final = -30


def other_clock(offset: int) -> tuple[str, ...]:
    """Return what runs a command in a time namespace of its own."""
    clocks = ("--monotonic", str(offset), "--boottime", str(offset))
    return ("unshare", "-T", *clocks, "-f", "--kill-child")


def why_not() -> str:
    """Say why there are no time namespaces here; "" if there are."""
    if os.geteuid() != 0:
        return "only root can make a time namespace"
    if time.monotonic() < -BEHIND + 5:
        return "the machine has just started"
    command = [*other_clock(BEHIND), "true"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip()


pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(bool(reason := why_not()), reason=reason or "there are time namespaces"),
]
clocks = pytest.mark.parametrize(
    "offset", [AHEAD, pytest.param(BEHIND, marks=pytest.mark.slow)], ids=["ahead", "behind"]
)

PROGRAM: Final = """
import signal, sys, time
import logstore
log = logstore.attach(sys.argv[1])
{}
"""


@contextmanager
def elsewhere(offset: int, service: Service, what: str) -> Iterator[subprocess.Popen[str]]:
    """Run some lines with `log` in a process that lives by another clock, and end it afterwards."""
    command = [*other_clock(offset), sys.executable, "-P", "-c", PROGRAM.format(what), service.name]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said_at_once(process: subprocess.Popen[str], what: str) -> None:
    """Expect a line from the process, and its end without an error."""
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, out.strip()) == (0, what)


@clocks
def test_records_from_another_clock_are_durable_and_read_by_both(offset: int, serve: Serve) -> None:
    service = serve()
    program = """
for number in range(20):
    log.append(b"%d" % number, durability="synced", timeout=5)
print(len(list(log.read())))
"""
    with elsewhere(offset, service, program) as process:
        said_at_once(process, "20")
    assert len(service.read_all()) == 20


@clocks
def test_a_time_out_comes_in_time_by_another_clock(offset: int, serve: Serve) -> None:
    service = serve()
    program = """
import os
log.append(b"first", durability="synced", timeout=5)
(pid,) = [client.pid for client in log.status().clients if client.role == "committer"]
os.kill(pid, signal.SIGSTOP)
began = time.monotonic()
try:
    log.append(b"second", durability="synced", timeout=0.5)
except logstore.Timeout:
    print(0.4 < time.monotonic() - began < 3)
finally:
    os.kill(pid, signal.SIGCONT)
"""
    with elsewhere(offset, service, program) as process:
        said_at_once(process, "True")


@clocks
def test_a_follower_with_another_clock_sees_records_and_costs_nothing_afterwards(
    offset: int, serve: Serve
) -> None:
    service = serve()
    program = """
for record in log.follow(log.watermarks().reserved, durability="ring"):
    print(bytes(record.payload).decode(), flush=True)
"""
    with service.attach() as log:
        log.append(b"before", durability="synced")
        with elsewhere(offset, service, program) as process:
            until(lambda: log._ring.load(LAYOUT["eager_until_ns"]), "somebody follows")
            began = time.monotonic()
            log.append(b"followed")
            assert process.stdout is not None
            assert process.stdout.readline() == "followed\n"
            assert time.monotonic() - began < AT_ONCE_S
        eager_s = LAYOUT["EAGER_NS"] / 1e9
        time.sleep(eager_s)  # what it asked for lasts so long, by the right clock

        def naps() -> bool:
            log.append(b"and on")
            return log._ring.load(LAYOUT["committer_mode"]) % (1 << 32) == Mode.NAPPING

        until(naps, "the committer naps while records flow")


@clocks
def test_a_record_that_is_not_finished_has_the_same_age_by_both_clocks(
    offset: int, serve: Serve
) -> None:
    service = serve()
    with service.attach() as log, log.reserve(10):
        log.append(b"waits")
        began = time.monotonic()
        until(lambda: log.status().stall, "the stall is told")
        program = """
stall = log.status().stall
print(f"{stall['age_s']} {stall['pid']}")
"""
        with elsewhere(offset, service, program) as process:
            out, _ = process.communicate(timeout=20)
        age_s, pid = out.split()
        assert 1.0 <= float(age_s) <= time.monotonic() - began + 0.1
        assert int(pid) == os.getpid()


@clocks
def test_who_dies_with_another_clock_holds_nobody_up(offset: int, serve: Serve) -> None:
    service = serve()
    program = """
with log.reserve(10) as reservation:
    print(flush=True)
    signal.pause()
"""
    with service.attach() as log:
        with elsewhere(offset, service, program) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "\n"
        log.append(b"behind it", durability="synced", timeout=AT_ONCE_S)
        assert [record.payload for record in log.read()] == [b"behind it"]


@pytest.fixture
def there_and_here(offset: int, places: Iterator[Path]) -> Iterator[tuple[Service, Service]]:
    """Return two services of one directory, the first with another clock; both ended afterwards."""
    path = next(places)
    there = Service(path, path.name, wrapper=other_clock(offset))
    here = Service(path, path.name)
    try:
        yield there, here
    finally:
        here.clean_up()
        there.clean_up()


@clocks
def test_a_service_with_another_clock_serves_is_adopted_and_salvaged(
    there_and_here: tuple[Service, Service],
) -> None:
    there, here = there_and_here
    there.start()
    with there.attach() as log:
        log.append(b"one", durability="synced", timeout=5)
        committer = there.pid("committer")
        there.kill("supervisor")
        here.start()
        assert here.pid("committer") == committer
        log.append(b"two", durability="synced", timeout=5)
    here.kill("supervisor")
    for role in ("committer", "syncer"):
        kill(here.pid(role))
    here.start()
    assert [record.payload for record in here.read_all()] == [b"one", b"two"]


@pytest.mark.slow
@clocks
def test_a_log_that_failed_by_another_clock_starts_here(
    there_and_here: tuple[Service, Service],
) -> None:
    there, here = there_and_here
    there.start()
    with there.attach() as log:
        log.append(b"one", durability="synced", timeout=5)
        there.kill("supervisor")
        log._ring.set_state(State.FAILED)
    # Its workers are out of the new supervisor's sight, and leave by themselves.
    until(lambda: here.try_start() == {}, "a start succeeds")
    assert [record.payload for record in here.read_all()] == [b"one"]
