"""Who follows sleeps with the committer and gets up with it, not after it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from logstore import DiskFull, Timeout
from logstore.ring._ring import LAYOUT
from logstore.ring.client import Client
from logstore.ring.layout import WATERMARKS, Level, Mode, State
from tests.ring.bench import FUTEX_WAITV, Bench
from tests.service import until

FOLLOWED = (Level.RING, Level.WRITTEN)


@dataclass(slots=True)
class Follower:
    """A thread that waits for the next record.

    Attributes:
        error: What ended its wait, if that was not the record.
    """

    thread: threading.Thread
    error: Exception | None = None

    def sleeps_with_the_committer(self) -> bool:
        """Tell whether it sleeps on more than one word."""
        call = Path(f"/proc/self/task/{self.thread.native_id}/syscall")
        return call.read_text().split(" ", 1)[0] == FUTEX_WAITV


@contextmanager
def following(bench: Bench, level: Level, *, read_only: bool = False) -> Iterator[Follower]:
    """Let somebody wait for the next record, asleep; the block does what ends that."""
    client = bench.attach(read_only=read_only)
    next_lsn = bench.load("head")

    def wait() -> None:
        try:
            client.ring.wait(level, next_lsn, 20.0)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is judged in the test)
            follower.error = error

    bench.ring.store(LAYOUT["committer_mode"], Mode.SLEEPING)
    follower = Follower(threading.Thread(target=wait))
    follower.thread.start()
    until(follower.sleeps_with_the_committer, "the follower sleeps")
    yield follower
    follower.thread.join(5)
    assert not follower.thread.is_alive()


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("level", FOLLOWED)
def test_what_wakes_the_committer_wakes_the_follower(
    bench: Bench, level: Level, read_only: bool
) -> None:
    with following(bench, level, read_only=read_only) as follower:
        bench.ring.store(WATERMARKS[level], bench.load("head") + 64)  # which wakes nobody
        bench.ring.wake_committer()
    assert follower.error is None


@pytest.mark.parametrize("level", FOLLOWED)
def test_a_follower_that_got_up_too_early_goes_on_waiting(
    bench: Bench, client: Client, level: Level
) -> None:
    with following(bench, level) as follower:
        client.ring.append(b"work")
        until(lambda: not follower.sleeps_with_the_committer(), "it is awake")
        bench.ring.advance(level, bench.load("head"))
    assert follower.error is None


@pytest.mark.parametrize("level", FOLLOWED)
def test_a_watermark_wakes_the_follower_while_the_committer_sleeps(
    bench: Bench, level: Level
) -> None:
    with following(bench, level) as follower:
        bench.ring.advance(level, bench.load("head") + 64)
    assert follower.error is None


def test_a_committer_that_sleeps_with_followers_is_woken_too(bench: Bench, client: Client) -> None:
    ended = threading.Event()

    def idle() -> None:
        sleep = Mode.SLEEPING, bench.load("head"), State.RUNNING, 20.0
        bench.ring.committer_idle(*sleep, -1, 0, 0)
        ended.set()

    with following(bench, Level.RING), following(bench, Level.RING):
        committer = threading.Thread(target=idle)
        committer.start()
        until(lambda: asleep(committer), "the committer sleeps")
        client.ring.append(b"work")
        assert ended.wait(5)
        bench.drain()
    committer.join()


def asleep(thread: threading.Thread) -> bool:
    """Tell whether a thread is in a call that blocks."""
    status = Path(f"/proc/self/task/{thread.native_id}/stat").read_text()
    return status.rpartition(")")[2].split()[0] == "S"


def test_a_new_state_ends_the_follower_s_wait(bench: Bench) -> None:
    with following(bench, Level.RING) as follower:
        bench.ring.set_state(State.FULL)
    assert isinstance(follower.error, DiskFull)


@pytest.mark.parametrize("level", FOLLOWED)
def test_a_follower_s_time_runs_out(bench: Bench, client: Client, level: Level) -> None:
    bench.ring.store(LAYOUT["committer_mode"], Mode.SLEEPING)
    with pytest.raises(Timeout, match="stands"):
        bench.attach(read_only=True).ring.wait(level, bench.load("head"), 0.05)
