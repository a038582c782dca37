"""How the workers pass the time: asleep until there is work, or on a vigil that does it."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from logstore.ring import slots
from logstore.ring._ring import LAYOUT
from logstore.ring.client import Client
from logstore.ring.layout import Level, Mode, State
from tests.ring.bench import Bench
from tests.ring.vigil import END, QUICK_NS, SLEEP_S, SLOW_NS, Vigil

NO_FILE = (-1, 0, 0)


@contextmanager
def asleep_until(bench: Bench) -> Iterator[None]:
    """Let the committer idle with nothing to do; what the block does must wake it."""
    ended = threading.Event()

    def idle() -> None:
        bench.ring.committer_idle(Mode.SLEEPING, bench.load("head"), State.RUNNING, 20.0, *NO_FILE)
        ended.set()

    thread = threading.Thread(target=idle)
    thread.start()
    yield
    assert ended.wait(5)
    thread.join()


def test_a_new_state_wakes_an_idle_worker(bench: Bench) -> None:
    with asleep_until(bench):
        bench.ring.set_state(State.DRAINING)


def test_an_append_wakes_a_sleeping_committer(bench: Bench, client: Client) -> None:
    with asleep_until(bench):
        client.ring.append(b"work")
    assert len(bench.drain()) == 1


def test_work_that_came_before_the_sleep_is_not_slept_over(bench: Bench, client: Client) -> None:
    before = bench.load("head")
    lsn = client.ring.append(b"work")  # nobody sleeps: it wakes nobody
    began = time.monotonic()
    bench.ring.committer_idle(Mode.SLEEPING, before, State.RUNNING, 5.0, *NO_FILE)
    assert client.ring.poll(Level.SYNCED, lsn, 0.0) is False
    bench.ring.advance(Level.WRITTEN, bench.load("head"))
    bench.ring.syncer_idle(Mode.NAPPING, State.RUNNING, 5.0, -1, 0)
    assert time.monotonic() - began < 2.0


def test_a_waiter_for_the_disk_wakes_the_syncer_before_its_bytes_are_written(
    bench: Bench, client: Client
) -> None:
    lsn = client.ring.append(b"urgent")
    bench.ring.store(LAYOUT["syncer_mode"], Mode.SLEEPING)
    assert not client.ring.poll(Level.SYNCED, lsn, 0.0)
    assert bench.load("written") <= lsn
    assert bench.load("syncer_mode") == Mode.AWAKE


def test_what_somebody_waits_for_is_written_on_the_vigil_and_not_synced(vigil: Vigil) -> None:
    lsn = vigil.demand()
    assert vigil.write() is False, "nothing else was there to do"
    end = vigil.bench.load("head")
    assert vigil.marks() == (end, end, lsn)
    assert vigil.in_file(lsn, end - lsn) == vigil.in_ring(lsn, end - lsn)
    assert (vigil.bench.load("drains"), vigil.bench.load("drain_bytes")) == (1, end - lsn)


def test_what_is_written_is_synced_on_the_vigil(vigil: Vigil) -> None:
    lsn = vigil.demand()
    vigil.write()
    assert vigil.sync() is False, "nothing else was there to do"
    assert vigil.client.ring.poll(Level.SYNCED, lsn, 0.0)
    end = vigil.bench.load("head")
    assert vigil.marks() == (end, end, end)
    assert vigil.bench.load("sync_intent") == 0
    assert (vigil.bench.load("syncs"), vigil.bench.load("sync_bytes")) == (1, end - lsn)


def test_a_vigil_goes_on_with_the_next_record(vigil: Vigil) -> None:
    vigil.bench.ring.store(LAYOUT["sync_recent_ns"], 240_000)

    def turn() -> None:
        vigil.client.ring.wait(Level.WRITTEN, vigil.demand(), 10.0)
        vigil.bench.ring.advance(Level.SYNCED, vigil.bench.load("written"))

    assert vigil.most_of_one_call("drains", vigil.write, turn) >= 3


def test_no_vigil_is_kept_for_a_slow_disk_or_for_nobody(vigil: Vigil) -> None:
    vigil.client.ring.append(b"nobody waits")
    before = vigil.marks()
    assert (vigil.write(), vigil.sync()) == (False, False)
    vigil.demand()
    vigil.bench.ring.store(LAYOUT["sync_recent_ns"], SLOW_NS)
    assert (vigil.write(), vigil.sync()) == (False, False)
    assert vigil.marks() == before


def test_nobody_keeps_a_vigil_for_long(vigil: Vigil) -> None:
    vigil.demand()
    head = vigil.bench.load("head")
    assert not vigil.client.ring.poll(Level.SYNCED, head, 0.0)
    began = time.monotonic()
    assert vigil.write(at=head) is False
    assert vigil.sync() is False
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("case", ["no file", "read-only", "full", "other state", "damaged"])
def test_what_is_out_of_the_ordinary_is_left_to_the_committers_step(
    vigil: Vigil, case: str
) -> None:
    lsn = vigil.demand()
    read_only = os.open(vigil.path, os.O_RDONLY)
    if case == "other state":
        vigil.bench.ring.set_state(State.DRAINING)
    if case == "damaged":
        vigil.bench.ring.store(LAYOUT["start"], lsn + 8)
    fd = {"no file": -1, "read-only": read_only}.get(case, vigil.fd)
    assert vigil.write(fd=fd, end=lsn + 8 if case == "full" else END) is True
    os.close(read_only)
    assert vigil.bench.load("written") == lsn
    assert vigil.in_file(lsn, 1) == b""


def test_a_batch_that_does_not_fit_the_segment_is_left_to_the_step(vigil: Vigil) -> None:
    lsn = vigil.client.ring.append_many([bytes(100), bytes(100)])[0]
    assert not vigil.client.ring.poll(Level.SYNCED, lsn, 0.0)
    assert vigil.write(end=vigil.bench.load("head") - 8) is True
    assert vigil.bench.load("written") == lsn


@pytest.mark.parametrize("mode", [Mode.NAPPING, Mode.SLEEPING])
def test_what_wakes_the_committer_is_written_at_once(vigil: Vigil, mode: Mode) -> None:
    lsn = vigil.demand()
    vigil.sleep(mode=mode)
    end = vigil.bench.load("head")
    assert vigil.marks() == (end, end, lsn)
    assert vigil.in_file(lsn, end - lsn) == vigil.in_ring(lsn, end - lsn)
    assert (vigil.bench.load("drains"), vigil.bench.load("drain_bytes")) == (1, end - lsn)


def test_what_nobody_waits_for_does_not_end_a_nap(vigil: Vigil) -> None:
    lsn = vigil.client.ring.append(b"nobody waits")
    began = time.monotonic()
    vigil.sleep(mode=Mode.NAPPING)
    assert time.monotonic() - began >= SLEEP_S
    assert vigil.bench.load("written") > lsn


@pytest.mark.parametrize("recent_ns", [QUICK_NS, SLOW_NS])
def test_who_is_woken_again_writes_again(vigil: Vigil, recent_ns: int) -> None:
    vigil.bench.ring.store(LAYOUT["sync_recent_ns"], recent_ns)

    def turn() -> None:
        vigil.client.ring.wait(Level.WRITTEN, vigil.demand(), 10.0)

    assert vigil.most_of_one_call("drains", vigil.sleep, turn) >= 3


@pytest.mark.parametrize("case", ["no file", "other state", "failed", "damaged"])
def test_who_wakes_up_leaves_to_the_step_what_is_out_of_the_ordinary(
    vigil: Vigil, case: str
) -> None:
    lsn = vigil.demand()
    if case in ("other state", "failed"):
        vigil.bench.ring.set_state(State.DRAINING if case == "other state" else State.FAILED)
    if case == "damaged":
        vigil.bench.ring.store(LAYOUT["start"], lsn + 8)
    vigil.sleep(fd=-1 if case == "no file" else None)
    assert vigil.marks() == (lsn, lsn, lsn)
    assert vigil.in_file(lsn, 1) == b""


@pytest.mark.parametrize("case", ["no file", "new segment", "other state", "damaged"])
def test_what_is_out_of_the_ordinary_is_left_to_the_syncers_step(vigil: Vigil, case: str) -> None:
    lsn = vigil.demand()
    vigil.write()
    if case == "other state":
        vigil.bench.ring.set_state(State.DRAINING)
    if case == "damaged":
        vigil.bench.ring.store(LAYOUT["start"], lsn + 8)
    if case == "new segment":
        slots.push(vigil.bench.ring, vigil.bench.load("written"))
    assert vigil.sync(fd=-1 if case == "no file" else None) is True
    assert vigil.bench.load("synced") == lsn
    assert vigil.bench.load("sync_intent") == 0


@pytest.mark.parametrize("sync", [Vigil.sync, Vigil.sleep_and_sync], ids=["vigil", "asleep"])
def test_a_sync_that_the_disk_refuses_is_told_and_its_intent_stays(
    vigil: Vigil, sync: Callable[..., bool]
) -> None:
    lsn = vigil.demand()
    vigil.write()
    reader, writer = os.pipe()  # what cannot be synced
    with pytest.raises(OSError) as raised:  # noqa: PT011 (the errno is what matters)
        sync(vigil, fd=reader)
    os.close(reader)
    os.close(writer)
    assert raised.value.errno == errno.EINVAL
    assert vigil.bench.load("synced") == lsn
    assert vigil.bench.load("sync_intent") == vigil.bench.load("written")
    assert vigil.bench.load("syncs") == 0
