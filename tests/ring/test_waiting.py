"""A full ring, time-outs, and Ctrl-C in every call that blocks."""

from __future__ import annotations

import threading
import time

import pytest

from logstore import Closed, RingFull, Timeout
from logstore.ring._ring import LAYOUT
from logstore.ring.client import Client
from logstore.ring.layout import Level, State, client_offset
from tests.ring.bench import RING, Bench, interrupted

QUARTER = bytes(RING // 4 - 32)


def fill(client: Client) -> list[int]:
    """Fill the ring to the last byte."""
    return [client.ring.append(QUARTER) for _ in range(4)]


def test_a_full_ring_tells_so_after_the_time_out_and_nothing_is_appended(
    bench: Bench, client: Client
) -> None:
    fill(client)
    head = bench.load("head")
    assert head == bench.load("written") + RING
    for timeout in (0, 0.05, 0.3):
        began = time.monotonic()
        with pytest.raises(RingFull, match="nothing was appended"):
            client.ring.append(b"", timeout)
        assert timeout <= time.monotonic() - began < timeout + 1
    with pytest.raises(RingFull):
        client.ring.append_many([b"", b""], 0)
    with pytest.raises(RingFull):
        client.ring.reserve(0, 0)
    assert client.ring.offer(b"") == -1
    assert bench.load("head") == head
    assert bench.at_rest()


def test_a_writer_that_waits_for_room_goes_on_when_there_is_some(
    bench: Bench, client: Client
) -> None:
    fill(client)
    lsns: list[int] = []
    writer = threading.Thread(target=lambda: lsns.append(client.ring.append(b"late", 20)))
    writer.start()
    assert len(bench.drain(most=1)) == 1
    writer.join(10)
    assert lsns == [bench.load("written") + RING - len(QUARTER) - 32]
    assert bench.ring.load(client_offset(client.index, "stalls")) >= 1
    assert sum(bench.ring.words(client_offset(client.index, "append_stall"), 48)) >= 1
    assert bench.drain()[-1].payload == b"late"


def test_ctrl_c_ends_an_append_that_waits_for_room_and_nothing_is_held(
    bench: Bench, client: Client
) -> None:
    fill(client)
    with interrupted():
        client.ring.append(b"never")
    assert bench.at_rest()
    assert [len(record.payload) for record in bench.drain()] == [len(QUARTER)] * 4
    client.ring.append(b"now")
    assert [record.payload for record in bench.drain()] == [b"now"]


@pytest.mark.parametrize("call", ["append", "append_many", "reserve"])
def test_ctrl_c_ends_a_call_that_waits_for_the_guard(
    call: str, bench: Bench, client: Client
) -> None:
    other = bench.attach()
    bench.enter_guard(other)
    with interrupted():
        if call == "append":
            client.ring.append(b"never")
        elif call == "append_many":
            client.ring.append_many([b"never", b"ever"])
        else:
            client.ring.reserve(5)
    bench.leave_guard()
    client.ring.append(b"now")
    assert [record.payload for record in bench.drain()] == [b"now"]
    assert bench.at_rest()


@pytest.mark.parametrize("level", list(Level))
def test_ctrl_c_ends_a_wait_for_durability(level: Level, client: Client) -> None:
    lsn = client.ring.append(b"alone")
    with interrupted():
        client.ring.wait(level, lsn)


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("read_only", [False, True])
def test_a_wait_ends_when_the_watermark_passes(
    level: Level, read_only: bool, bench: Bench, client: Client
) -> None:
    waiter = bench.attach(read_only=read_only)
    lsn = client.ring.append(b"first")
    with pytest.raises(Timeout, match="stands"):
        waiter.ring.wait(level, lsn, 0.05)
    ended = threading.Event()

    def wait() -> None:
        waiter.ring.wait(level, lsn, 20)
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    bench.drain()
    assert ended.wait(10)
    thread.join()
    waiter.ring.wait(level, lsn, 0)  # passed already: no time is needed


def test_waiters_of_different_positions_are_woken_as_theirs_are_passed(
    bench: Bench, client: Client
) -> None:
    lsns = [client.ring.append(bytes(900)) for _ in range(40)]
    woken: list[int] = []
    lock = threading.Lock()

    def wait(lsn: int) -> None:
        client.ring.wait(Level.SYNCED, lsn, 20)
        with lock:
            woken.append(lsn)

    threads = [threading.Thread(target=wait, args=(lsn,)) for lsn in lsns]
    for thread in threads:
        thread.start()
    middle = lsns[20]
    bench.ring.advance(Level.SYNCED, middle)
    for thread in threads[:20]:
        thread.join(10)
    assert sorted(woken) == lsns[:20]
    bench.ring.advance(Level.SYNCED, bench.load("head"))
    for thread in threads:
        thread.join(10)
    assert sorted(woken) == lsns


@pytest.mark.parametrize("state", [State.FAILED, State.CLOSED, State.FULL])
def test_a_state_in_which_it_cannot_go_on_ends_every_wait(
    state: State, bench: Bench, client: Client
) -> None:
    lsn = client.ring.append(b"first")
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            client.ring.wait(Level.SYNCED, lsn, 20)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is judged below)
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    bench.ring.set_state(state)
    thread.join(10)
    assert [type(error).__name__ for error in errors] == [
        {State.FAILED: "SyncFailed", State.CLOSED: "NotRunning", State.FULL: "DiskFull"}[state]
    ]


def test_closing_ends_the_calls_of_other_threads(bench: Bench) -> None:
    client = bench.attach()
    lsn = client.ring.append(b"first")
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            client.ring.wait(Level.SYNCED, lsn)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is judged below)
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    client.close()
    thread.join(10)
    assert [type(error) for error in errors] == [Closed]
    with pytest.raises(Closed, match="open or attach again"):
        client.ring.append(b"")
    client.close()  # again, and nothing happens


def test_bad_time_outs_are_refused(client: Client) -> None:
    for timeout in (-1, float("nan")):
        with pytest.raises(ValueError, match="timeout"):
            client.ring.wait(Level.SYNCED, client.ring.load(LAYOUT["head"]), timeout)


@pytest.mark.parametrize("timeout_s", [None, 1.0], ids=["plainly", "under the guard"])
def test_a_failure_is_undone_by_nobody_who_looked_before_it(
    bench: Bench, timeout_s: float | None
) -> None:
    bench.ring.set_state(State.FAILED)
    for state in (State.RUNNING, State.FULL, State.DRAINING, State.CLOSED):
        bench.committer.ring.set_state(state, timeout_s)
        assert bench.ring.load(LAYOUT["state"]) == State.FAILED
