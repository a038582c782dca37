"""Holding a cursor: one process at a time, told by the kernel, and that one saves the position."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Final

from logstore.errors import InUse, Timeout
from logstore.files import Directory
from logstore.handle import Handle
from logstore.ring._ring import LAYOUT
from logstore.ring.layout import Level
from logstore.ring.liveness import LockFile, cursor_slot
from logstore.segments import cursors as files
from logstore.segments.cursors import SavedCursor

_LOOK_AGAIN_S: Final = 0.01


def take(directory: Path, name: str) -> LockFile:
    """Take a cursor's lock, and return what keeps it until it is closed.

    However this process ends, the kernel frees the lock at once.

    Raises:
        InUse: Somebody holds it; the error's `pid` says who.
        PermissionDenied: The lock file may not be opened.
    """
    lock = LockFile(directory)
    slot = cursor_slot(name)
    while not lock.take(slot, os.getpid()):
        # Who holds it may have gone since the attempt: then there is another one.
        pid = lock.extent(slot)
        if pid:
            lock.close()
            whom = "this process itself" if pid == os.getpid() else "another process"
            raise InUse(f"the cursor {name!r} is held by {whom}", path=directory, pid=pid)
    return lock


class Hold:
    """The lock on a cursor and its file, in the hands of the one process that may write it."""

    def __init__(self, log: Handle, name: str, save_interval_s: float) -> None:
        self._log = log
        self._name = name
        self._interval_s = save_interval_s
        self._saved_s, self._due_s = -math.inf, math.inf
        self._lock = take(log.path, name)
        try:
            self._directory = Directory.open(log.path, create=False)
        except BaseException:
            self._lock.close()
            raise

    def close(self) -> None:
        """Give the lock back, or in a forked child the copy of it; save nothing."""
        self._lock.close()
        self._directory.close()

    def load(self) -> SavedCursor | None:
        """Read what was saved last, by anybody; None if the cursor is new."""
        return files.load(self._directory, self._name)

    def save(self, group: str | None, lsn: int, timeout_s: float | None = None) -> None:
        """Save a position; durable on return."""
        client = self._log._client
        # Order: the records before the position, or power loss would leave a place beyond the
        # log's end, and what is appended there later would never be delivered.
        if not self._synced(lsn) and not client.await_level(Level.SYNCED, lsn - 8, timeout_s):
            raise Timeout("the records below the position are not synced yet", lsn=lsn)
        self._saved_s = time.monotonic()
        saved = SavedCursor(self._name, group, lsn, time.time_ns())
        files.save(self._directory, saved, mode=client.identity.mode)
        self._due_s = math.inf

    def _synced(self, lsn: int) -> bool:
        return self._log._client.ring.load(LAYOUT["synced"]) >= lsn

    # When to save.

    @property
    def unsaved(self) -> bool:
        """Whether the position has moved since it was saved."""
        return not math.isinf(self._due_s)

    def moved(self, at_least_s: float = 0.0) -> None:
        """Take note that the position has moved: it is due an interval after the last time."""
        self._due_s = min(self._due_s, self._saved_s + max(self._interval_s, at_least_s))

    def save_if_due(self, group: str | None, lsn: int) -> None:
        """Save a position if it is time to, and if the records below are synced."""
        if time.monotonic() >= self._due_s and self._synced(lsn):
            self.save(group, lsn)

    def until_due(self) -> float | None:
        """Return after how many seconds to ask again whether to save; None: there is nothing."""
        return max(_LOOK_AGAIN_S, self._due_s - time.monotonic()) if self.unsaved else None
