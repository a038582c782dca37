"""What `read` and `replay` print is the same with a running service and from its files alone."""

from __future__ import annotations

import itertools
import os
import pty
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

import logstore
from tests.cli.running import COMMAND, call, json_lines
from tests.conftest import Serve
from tests.service import Service, environment, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]


def fill(log: logstore.Log) -> tuple[list[int], list[datetime]]:
    """Append what a log can have in it, over several segments; return LSNs and times on the way."""
    orders, billing = log.group("orders"), log.group("billing")
    lsns, times = [], []
    for round_number in range(6):
        times.append(datetime.now(UTC))
        lsns += [log.append(b"plain %d" % number + b"x" * 90) for number in range(30)]
        with log.transaction("orders") as txn:
            for number in range(20):
                txn.append(b"part %d.%d" % (round_number, number))
                billing.append(b"between")
                txn.append(b"other", group="billing")
        aborted = log.transaction("orders")
        aborted.append(b"never seen")
        aborted.abort()
        orders.append_many([b"batch %d" % number for number in range(5)])
        if round_number == 3:
            mistake = log.append(b"a mistake")
            billing.append(b"another")
            log.revert(mistake)
    log.transaction("orders").append(b"open for ever")
    orders.checkpoint(ranges=[(2, 40), (60, 60)])
    log.sync()
    return lsns, times


def flags_of(lsns: list[int], times: list[datetime], size: int) -> list[tuple[str, ...]]:
    """List what to ask for: every mix of where, which way, and what."""
    starts: list[tuple[str, ...]] = [(), ("--start", str(lsns[40])), ("--since", "1969-01-01")]
    starts += [("--since", time.isoformat()) for time in (times[3], times[5])]
    starts += [("--since", "1h"), ("--since", "9000-01-01"), ("--start", str(size + 8000))]
    starts += [("--start", "8"), ("--start", str(lsns[40] + 8)), ("--end", str(lsns[70]))]
    ways: list[tuple[str, ...]] = [(), ("--reverse",)]
    whats: list[tuple[str, ...]] = [(), ("--group", "orders"), ("--uncommitted",), ("--reverted",)]
    whats += [("--group", "nobody"), ("--group", "billing", "--reverted", "--uncommitted")]
    return [(*one, *two, *three) for one, two, three in itertools.product(starts, ways, whats)]


def answers(place: Path, asked: list[tuple[str, ...]]) -> list[tuple[tuple[str, ...], int, bytes]]:
    """Ask all of it; return exit codes and what was printed."""
    told = []
    for flags in asked:
        result = call("read", place, "--format", "json", *flags)
        told.append((flags, result.exit_code, result.stdout_bytes))
    for group in ("default", "orders", "billing", "nobody"):
        result = call("replay", place, "--group", group, "--format", "json")
        told.append((("replay", group), result.exit_code, result.stdout_bytes))
    return told


def nothing_since(place: Path, time: str) -> bool:
    """Tell whether a mark lies behind all records; without one the newest are of any time."""
    return not call("read", place, "--since", time).stdout_bytes


def end(service: Service, way: str) -> None:
    if way == "stopped":
        assert service.stop() == 0
    else:
        service.kill_all()


@pytest.mark.parametrize("way", ["stopped", "killed"])
def test_the_files_alone_give_the_same_answers(serve: Serve, way: str) -> None:
    service = serve(segment_size=8192)
    with service.attach() as log:
        lsns, times = fill(log)
        until(lambda: nothing_since(service.path, "9000-01-01"), "the pause is marked")
        asked = flags_of(lsns, times, log.watermarks().reserved)
        running = answers(service.path, asked)
    end(service, way)
    alone = answers(service.path, asked)
    for before, after in zip(running, alone, strict=True):
        assert after == before
    printed = {flags: (code, out) for flags, code, out in alone}
    assert printed["--reverse",][1].splitlines() == printed[()][1].splitlines()[::-1]
    assert printed["--since", times[5].isoformat()][1].count(b"\n") > 50
    assert {code for code, _ in printed.values()} == {0, 2, 3}
    replayed = [line["seq"] for line in json_lines(printed["replay", "orders"][1])]
    assert set(replayed) & {1, 2, 40, 41, 59, 60, 61} == {1, 41, 59, 61}


@pytest.mark.parametrize("way", ["stopped", "killed"])
def test_an_empty_log_gives_the_same_answers(serve: Serve, way: str) -> None:
    service = serve()
    asked: list[tuple[str, ...]] = [(), ("--reverse",), ("--since", "1h"), ("--start", "4096")]
    running = answers(service.path, asked)
    end(service, way)
    assert answers(service.path, asked) == running
    assert {code for _, code, _ in running} == {0, 3}


def on_terminals(
    command: str, place: Path, *, stdout: bool = False, stderr: bool
) -> tuple[bytes, bytes]:
    """Run a command with a terminal where it is said; return what it printed and what it drew."""
    controller, terminal = pty.openpty()
    try:
        ran = subprocess.run(
            [*COMMAND, command, str(place)],
            stdin=subprocess.DEVNULL,
            stdout=terminal if stdout else subprocess.PIPE,
            stderr=terminal if stderr else subprocess.PIPE,
            env=environment({"TERM": "xterm", "COLUMNS": "100"}),
            timeout=60,
            check=True,
        )
        os.close(terminal)
        terminal = -1
        drawn = bytearray()
        try:
            while piece := os.read(controller, 4096):
                drawn += piece
        except OSError:
            pass  # EIO: nobody holds the other end any more
        return ran.stdout or b"", bytes(drawn) + (ran.stderr or b"")
    finally:
        os.close(controller)
        if terminal >= 0:
            os.close(terminal)


@pytest.mark.parametrize("command", ["read", "replay"])
def test_a_bar_is_drawn_on_a_terminal_and_nowhere_else(serve: Serve, command: str) -> None:
    service = serve()
    with service.attach() as log:
        log.append_many([b"%d" % number for number in range(20)])
        log.sync()
    lines = b"".join(b"%d\n" % number for number in range(20))
    printed, drawn = on_terminals(command, service.path, stderr=True)
    assert printed == lines
    assert command.encode() in drawn
    assert b"\x1b[" in drawn
    printed, drawn = on_terminals(command, service.path, stderr=False)
    assert printed == lines
    assert b"\x1b[" not in drawn
    # Where the records go to the terminal themselves, a bar would be in their way.
    _, drawn = on_terminals(command, service.path, stdout=True, stderr=True)
    assert b"\x1b[" not in drawn
    assert drawn.startswith(lines.replace(b"\n", b"\r\n"))


def test_replay_says_how_many_records_are_still_needed(serve: Serve) -> None:
    service = serve()
    with service.attach() as log:
        for number in range(5):
            log.group("orders").append(b"order %d" % number)
        log.group("orders").checkpoint(up_to=3)
        log.sync()
        until(lambda: log.watermarks().synced == log.watermarks().reserved, "all is durable")
    result = call("replay", service.name, "--group", "orders")
    assert result.stdout == "order 3\norder 4\n"
    assert result.stderr == "2 records of group 'orders' still needed\n"
