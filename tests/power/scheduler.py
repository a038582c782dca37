"""One thing at a time, in an order that a seed decides: threads that hand a baton on."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from logstore.workers.chores import Chores

ENDLESS: Final = 100_000
"""Pauses after which a simulation hangs: a thousand times as many as it usually needs."""


class PowerOff(BaseException):
    """Ends a task wherever it is; no product code catches it."""


@dataclass(slots=True, eq=False)
class _Task:
    name: str
    body: Callable[[], None]
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    over: bool = False


class Scheduler:
    """Run tasks; at each `pause` the next one to go on is drawn by the seed."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._tasks: list[_Task] = []
        self._threads: list[threading.Thread] = []
        self._current: _Task | None = None
        self._all_over = threading.Semaphore(0)
        self._failure: BaseException | None = None
        self._off = False
        self._pauses = 0
        self.on_pause: Callable[[], None] = lambda: None

    def add(self, name: str, body: Callable[[], None]) -> None:
        """Add a task; also while others run."""
        self._tasks.append(_Task(name, body))

    def run(self) -> None:
        """Run all tasks to their ends, or to the power's.

        Raises:
            BaseException: What the first task that failed has raised.
        """
        for task in self._tasks:
            thread = threading.Thread(target=self._live, args=(task,), name=f"power {task.name}")
            self._threads.append(thread)
            thread.start()
        self._hand_on()
        self._all_over.acquire()
        for thread in self._threads:
            thread.join()
        if self._failure is not None:
            raise self._failure

    def power_off(self) -> None:
        """End all tasks, each where it is; the one that calls this too."""
        self._off = True
        raise PowerOff

    def pause(self) -> None:
        """Let others go on, perhaps. Outside of all tasks this does nothing."""
        me = self._current
        if me is None or threading.current_thread() is threading.main_thread():
            return
        if not self._off:
            self._pauses += 1
            left = [task.name for task in self._tasks if not task.over]
            assert self._pauses < ENDLESS, f"nothing comes to an end; there are {left}"
            self.on_pause()
        self._hand_on()
        me.go.acquire()
        if self._off:
            raise PowerOff

    def _hand_on(self) -> None:
        left = [task for task in self._tasks if not task.over]
        if not left:
            self._current = None
            self._all_over.release()
            return
        self._current = self._rng.choice(left)
        self._current.go.release()

    def _live(self, task: _Task) -> None:
        task.go.acquire()
        try:
            if not self._off:
                task.body()
        except PowerOff:
            pass
        except BaseException as error:  # noqa: BLE001 (told by `run`)
            self._failure = self._failure or error
            self._off = True
        finally:
            task.over = True
            self._hand_on()


class Clock:
    """Stands where modules say `time`: moves a little at each look, by the seed."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._now_ns = 1_700_000_000_000_000_000

    def time_ns(self) -> int:
        """Return the wall clock."""
        self._now_ns += self._rng.randrange(3_000_000)
        return self._now_ns

    monotonic_ns = time_ns

    def monotonic(self) -> float:
        """Return seconds."""
        return self.time_ns() / 1e9

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._now_ns += int(seconds * 1e9)


class Chances:
    """Stands where a module says `secrets`."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def randbits(self, count: int) -> int:
        """Return a number of `count` bits."""
        return self._rng.getrandbits(count)

    def token_bytes(self, count: int) -> bytes:
        """Return `count` bytes."""
        return self._rng.randbytes(count)


class SteppedChores(Chores):
    """The committer's jobs as one more task, in the place of its thread."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._queue: list[Callable[[], None]] = []
        self._scheduler = scheduler
        self._over = False
        self._ending = threading.Event()
        self.pending = 0
        self.progress = threading.Event()
        self.failure = self.full = None

    def add(self, job: Callable[[], None]) -> None:
        """Queue a job."""
        self.pending += 1
        self._queue.append(job)

    def finish(self) -> None:
        """Wait until all jobs are done."""
        self._ending.set()
        while self.pending and not self._over:
            self._scheduler.pause()
        self._over = True

    def await_progress(self, timeout_s: float) -> None:
        """Let the jobs go on."""
        self._scheduler.pause()

    def pause(self, seconds: float) -> None:
        """Let others go on."""
        self._scheduler.pause()

    def live(self) -> None:
        """Do the jobs as they come, until `finish`."""
        while not self._over:
            if self._queue:
                self._do(self._queue.pop(0))
            self._scheduler.pause()


class PromptChores(Chores):
    """Jobs that are done when they are given: for who starts alone."""

    def __init__(self) -> None:
        self.pending = 0
        self.progress = threading.Event()
        self._ending = threading.Event()
        self.failure = self.full = None

    def add(self, job: Callable[[], None]) -> None:
        """Do a job."""
        self.pending += 1
        self._do(job)

    def finish(self) -> None:
        """Nothing is left to do."""
