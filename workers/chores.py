"""Jobs that a worker has done beside its main work."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from logstore.errors import LogstoreError
from logstore.workers import role


class Chores:
    """Run jobs one after the other on a thread of their own.

    A job that finds no room on the disk is tried again until there is some, so it must be one that
    can be repeated. After any other failure no job is done any more: later ones build on it.

    Attributes:
        on_failure: Called on that thread with what went wrong, once.
        pending: How many jobs are not done.
        full: What the present job found when it wanted room; None if it goes on.
    """

    def __init__(self) -> None:
        self.on_failure: Callable[[OSError | LogstoreError], None] = lambda _: None
        self._ending = threading.Event()
        self.full: OSError | LogstoreError | None = None
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.pending = 0
        self.progress = threading.Event()
        self.failure: OSError | LogstoreError | None = None
        self._thread = threading.Thread(target=self._run, name="chores", daemon=True)
        self._thread.start()

    @property
    def ending(self) -> bool:
        """Whether the thread is about to end."""
        return self._ending.is_set()

    def add(self, job: Callable[[], None]) -> None:
        """Queue a job."""
        self.pending += 1
        self._jobs.put(job)

    def finish(self) -> None:
        """Wait until all jobs are done or without room, and end the thread. Idempotent."""
        self._ending.set()
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._do(job)

    def _do(self, job: Callable[[], None]) -> None:
        try:
            if self.failure is None:
                self._until_room(job)
        except (OSError, LogstoreError) as error:
            self.failure = error
            if not self.ending and not role.out_of_space(error):
                self.on_failure(error)
        finally:
            self.pending -= 1
            self.progress.set()

    def _until_room(self, job: Callable[[], None]) -> None:
        while True:
            try:
                job()
            except (OSError, LogstoreError) as error:
                if self.ending or not role.out_of_space(error):
                    raise
                self.full = error
                self.progress.set()
                self.pause(role.RETRY_S)
            else:
                self.full = None
                return

    def pause(self, seconds: float) -> None:
        """Sleep within a job, for so long or until the thread is to end."""
        self._ending.wait(seconds)

    def await_progress(self, timeout_s: float) -> None:
        """Sleep until a job ends, or time is up."""
        self.progress.wait(timeout_s)
        self.progress.clear()
