"""Holding a cursor: one process at a time, told by the kernel, and that one saves the position."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Final

from logstore.disk_errors import reading
from logstore.errors import Corruption, InUse, NotFound, Timeout
from logstore.files import Directory
from logstore.handle import Handle
from logstore.places import Start, place_of
from logstore.ring._ring import LAYOUT
from logstore.ring.layout import Level
from logstore.ring.liveness import LockFile, cursor_slot
from logstore.segments import cursors as files
from logstore.segments import manifest as manifests
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
            with reading("the data directory"):
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
        self._await_synced(lsn, timeout_s)
        self._write(group, lsn)

    def place(self, group: str | None, start: Start) -> int:
        """Begin, or go on, where `start` says; return that position. Durable on return.

        Forwards a position may simply be saved. Elsewhere a compaction that is under way does not
        know of it, so this waits for that, and keeps the next one from beginning.

        Raises:
            InvalidLSN, NotFound: As `place_of`.
            DiskFull, PermissionDenied, SyncFailed, NotRunning: It was not saved.
        """
        client = self._log._client
        position = place_of(self._log, start)
        # Order: before the duty is taken: compaction may be what makes room to go on with syncing.
        self._await_synced(position)
        with client.duties.placing():
            position = self._kept_place(position, start)
            self._write(group, position)
        client.ring.wake_committer()  # it may have put a compaction off
        return position

    def _kept_place(self, position: int, start: Start) -> int:
        """Return a position where nothing was dropped: what was is in the manifest no more."""
        manifest = manifests.load(self._directory)
        if manifest is None:
            raise Corruption("the manifest is gone while the log runs", path=self._log.path)
        if start == "oldest":
            return manifest.start_lsn
        inside = any(one.base_lsn <= position < one.end_lsn for one in manifest.sealed)
        if position < manifest.sealed_end_lsn and not inside:
            raise NotFound("what was there was dropped meanwhile", lsn=position)
        return position

    def _await_synced(self, lsn: int, timeout_s: float | None = None) -> None:
        # Order: the records before the position, or power loss would leave a place beyond the
        # log's end, and what is appended there later would never be delivered.
        client = self._log._client
        if not self._synced(lsn) and not client.await_level(Level.SYNCED, lsn - 8, timeout_s):
            raise Timeout("the records below the position are not synced yet", lsn=lsn)

    def _write(self, group: str | None, lsn: int) -> None:
        self._saved_s = time.monotonic()
        saved = SavedCursor(self._name, group, lsn, time.time_ns())
        files.save(self._directory, saved, mode=self._log._client.identity.mode)
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
