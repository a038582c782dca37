"""Jobs that a worker has done beside its main work."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from logstore.errors import LogstoreError


class Chores:
    """Run jobs one after the other on a thread of their own; the first failure is kept."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.pending = 0
        self.progress = threading.Event()
        self.failure: OSError | LogstoreError | None = None
        self._thread = threading.Thread(target=self._run, name="chores", daemon=True)
        self._thread.start()

    def add(self, job: Callable[[], None]) -> None:
        """Queue a job."""
        self.pending += 1
        self._jobs.put(job)

    def finish(self) -> None:
        """Wait until all jobs are done, and end the thread. Idempotent."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._do(job)

    def _do(self, job: Callable[[], None]) -> None:
        try:
            job()
        except (OSError, LogstoreError) as error:
            self.failure = self.failure or error
        finally:
            self.pending -= 1
            self.progress.set()

    def await_progress(self, timeout_s: float) -> None:
        """Sleep until a job ends, or time is up."""
        self.progress.wait(timeout_s)
        self.progress.clear()
