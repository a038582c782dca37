"""Groups: one id for a name whoever makes it first, kept over restarts; 1,024 of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

import logstore
from logstore.errors import Compacted, InvalidArgument, LimitReached, NotFound
from logstore.ring._ring import LAYOUT
from logstore.ring.layout import GROUPS, group_offset
from tests.conftest import Serve
from tests.service import Service, environment, until

pytestmark = pytest.mark.process

NAMES = [f"group {n}" for n in range(20)]
RACER = """
import sys, logstore
log = logstore.attach(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(*[log.group(name).id for name in sys.argv[2:]])
"""
"""Attaches, waits for a line, makes groups, and prints their ids."""


@pytest.fixture
def racers(service: Service) -> Iterator[list[subprocess.Popen[str]]]:
    """Return eight processes that are about to make the same groups, each beginning elsewhere."""
    started = []
    for n in range(8):
        names = NAMES[n:] + NAMES[:n]
        started.append(
            subprocess.Popen(
                [sys.executable, "-P", "-c", RACER, service.name, *names],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment(),
                text=True,
            )
        )
    yield started
    for racer in started:
        racer.kill()
        racer.communicate()


def line_of(racer: subprocess.Popen[str]) -> str:
    assert racer.stdout is not None
    return racer.stdout.readline()


def test_8_processes_that_make_the_same_groups_at_once_get_one_id_for_each_name(
    racers: list[subprocess.Popen[str]], service: Service
) -> None:
    for racer in racers:
        assert line_of(racer) == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    found = []
    for n, racer in enumerate(racers):
        ids = list(map(int, line_of(racer).split()))
        found.append(dict(zip(NAMES[n:] + NAMES[:n], ids, strict=True)))
    assert found == [found[0]] * 8
    assert sorted(found[0].values()) == list(range(1, 21))
    with service.attach() as log:
        assert {name: log.group(name).id for name in NAMES} == found[0]
        assert sorted(log.groups()) == sorted(["default", *NAMES])


def test_a_racer_killed_while_it_makes_groups_keeps_nobody_from_making_them(
    racers: list[subprocess.Popen[str]], service: Service
) -> None:
    for racer in racers:
        assert line_of(racer) == "ready\n"
    with service.attach() as log:
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("\n")
            racer.stdin.flush()
        until(lambda: len(log.groups()) > 1, "somebody has made a group")
        for racer in racers:
            racer.kill()
        ids = {name: log.group(name).id for name in NAMES}
        assert len(set(ids.values())) == len(NAMES)
        for name in NAMES:
            log.group(name).append(name.encode())
        log.sync()
        assert [(r.group, r.seq, r.payload) for r in log.read()] == [
            (name, 1, name.encode()) for name in NAMES
        ]
    service.kill_all()
    service.start()
    with service.attach() as log:
        assert {name: log.group(name).id for name in NAMES} == ids


def test_there_can_be_1024_groups_and_no_more_also_after_a_restart(serve: Serve) -> None:
    service = serve(ring_size=1 << 16, segment_size=1 << 14)
    with service.attach() as log:
        names = [f"{n}" for n in range(1, GROUPS)]
        for n, name in enumerate(names):
            group = log.group(name)
            assert group.id == n + 1
            group.append(b"one of " + name.encode())
    for how in ("stopped", "killed"):
        with service.attach() as log:
            with pytest.raises(LimitReached):
                log.group("one more")
            assert log.groups() == ["default", *names]
            assert log.group("1023").id == 1023
            assert log.group("default").id == 0
            seqs = [log.group(name) for name in names[::100]]
            for group in seqs:
                group.append(how.encode(), durability="written")
            found = [record.payload for record in log.read(group="1", durability="written")]
            assert found[-1] == how.encode()
        if how == "stopped":
            assert service.stop() == 0
        else:
            service.kill_all()
        service.start()
    with service.attach() as log:
        rows = [(record.seq, record.payload) for record in log.read(group="101")]
    assert rows == [(1, b"one of 101"), (2, b"stopped"), (3, b"killed")]


def test_a_group_whose_maker_died_before_it_was_there_gives_its_id_to_the_next(
    service: Service,
) -> None:
    with service.attach() as log:
        first = log.group("first").id
        assert log.group("ghost").id == 2
        # As if its maker had died: its name is in the log, and the table does not know of it.
        log._client.ring.store(LAYOUT["group_count"], 2)
    with service.attach() as log:
        assert log.groups() == ["default", "first"]
        assert log.group("second").id == 2
        log.group("second").append(b"1", durability="synced")
        assert [record.group for record in log.read()] == ["second"]
        with pytest.raises(NotFound):
            log.read(group="ghost")
    for _ in range(2):
        service.kill_all()
        service.start()
        with service.attach() as log:
            assert log.groups() == ["default", "first", "second"]
            assert (log.group("first").id, log.group("second").id) == (first, 2)
            assert log.group("second").append(b"more") > 0
    records = service.read_all()
    assert [(r.group, r.seq) for r in records] == [("second", n) for n in (1, 2, 3)]


def test_a_group_whose_maker_died_before_its_name_was_in_the_log_is_not_there(
    service: Service,
) -> None:
    with service.attach() as log:
        ring = log._client.ring
        ring.write_header(group_offset(1, "name"), b"ghost".ljust(64, b"\0"))
        assert log.groups() == ["default"]
        assert log.group("real").id == 1
        assert log.groups() == ["default", "real"]


@pytest.mark.parametrize(
    "name", ["", "x" * 64, "é" * 32, "a\nb", "\0", "\ud800", 5, None, b"bytes", "tab\t"]
)
def test_a_name_that_no_group_can_have_is_refused_everywhere(name: str, log: logstore.Log) -> None:
    end = log.watermarks().reserved
    with pytest.raises(InvalidArgument):
        log.group(name)
    if name is not None:
        with pytest.raises(InvalidArgument):
            log.transaction(name)
        with pytest.raises(InvalidArgument):
            log.transaction().append(b"", group=name)
        with pytest.raises(NotFound):
            log.read(group=name)
        with pytest.raises(NotFound):
            log.follow(group=name)
    assert log.groups() == ["default"]
    assert log.watermarks().reserved == end


@pytest.mark.parametrize("name", ["x" * 63, "é" * 31, " ", "#0", "default ", "日本"])
def test_any_other_name_is_a_groups_and_is_read_back_after_a_restart(
    name: str, service: Service
) -> None:
    with service.attach() as log:
        log.group(name).append_many([b"1", b"2"], durability="synced")
        assert {record.group for record in log.read(group=name)} == {name}
    service.kill_all()
    service.start()
    with service.attach() as log:
        log.group(name).append(b"3")
    assert [(r.group, r.seq) for r in service.read_all()] == [(name, n) for n in (1, 2, 3)]


def test_a_read_from_what_is_dropped_at_that_moment_says_so(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(ring_size=1 << 18, segment_size=1 << 16).attach() as log:
        group = log.group("orders")
        first = group.append_many([bytes(64)] * 100)[0]
        for _ in range(30):
            group.append_many([bytes(64)] * 100)
        group.checkpoint(up_to=2000)
        log.sync()
        log.compact(timeout=10)
        assert log.watermarks().start > first
        # As if it had been there when it was looked for.
        monkeypatch.setattr(log._reading, "segment_of", lambda *_: first)
        with pytest.raises(Compacted):
            group.read(1)
