"""What only one process of a log may do at a time: each duty is a byte of the lock file."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from logstore.ring.liveness import GROUPS, PLACES, REVERT, LockFile

_LOOK_AGAIN_S: Final = 0.001


class Duties:
    """Take and give back duties for one client. Threads may share it.

    The kernel gives a duty back when the process ends, however it does.
    """

    def __init__(self, lock: LockFile, look_around: Callable[[], None]) -> None:
        self._lock = lock
        self._look_around = look_around
        # Threads share the lock file's description, and so its locks.
        self._threads: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)

    def take(self, duty: int) -> bool:
        """Take a duty if it is free, until it is given back or the process ends."""
        return self._lock.take(duty)

    def give_back(self, duty: int) -> None:
        """Give a duty back."""
        self._lock.release(duty)

    def making_groups(self) -> AbstractContextManager[None]:
        """Keep every other process and thread from making a group."""
        return self._alone(GROUPS)

    def reverting(self) -> AbstractContextManager[None]:
        """Keep every other process and thread from reverting."""
        return self._alone(REVERT)

    def placing(self) -> AbstractContextManager[None]:
        """Keep compaction from judging and dropping segments; also other processes from this."""
        return self._alone(PLACES)

    @contextmanager
    def _alone(self, duty: int) -> Iterator[None]:
        """Hold a duty for the block; waits while others have it."""
        with self._threads[duty]:
            while not self._lock.take(duty):
                time.sleep(_LOOK_AGAIN_S)
                self._look_around()
            try:
                yield
            finally:
                self._lock.release(duty)
