"""The syncer: makes written bytes durable and publishes how far.

It syncs when somebody waits, and otherwise once in a sync interval. There is no artificial delay: a
group forms while the previous fdatasync runs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from logstore.errors import LogstoreError
from logstore.files import Directory
from logstore.points import point
from logstore.ring import slots
from logstore.ring._ring import LAYOUT
from logstore.ring.client import Client
from logstore.ring.layout import SYNCER, Level, Mode, State
from logstore.segments.rewrite import rewrite
from logstore.segments.segment import segment_name
from logstore.workers import role

DEEP_SLEEP_S: Final = 1.0


@dataclass(slots=True)
class _Unsynced:
    """A segment with bytes that may not be durable yet."""

    base_lsn: int
    fd: int


class Syncer:
    """The syncing role as steps."""

    def __init__(self, client: Client, directory: Directory | None = None) -> None:
        """Open the segments that are not durable; redo a sync that a predecessor died in."""
        self._client = client
        self._ring = client.ring
        self._directory = directory or Directory.open(client.identity.directory, create=False)
        self._interval_s = client.identity.sync_interval_ns / 1e9
        self._orphanage = role.Orphanage(client)
        self._last_sync_s = time.monotonic()
        self._first = self._ring.load(LAYOUT["segments_synced"])
        self._segments: list[_Unsynced] = []
        self._names_durable = True
        self._pass_durable()
        if self._ring.load(LAYOUT["sync_intent"]):
            self._redo()

    def _pass_durable(self) -> None:
        """Retire what a predecessor had synced, and told, and not retired: it may be gone."""
        synced = self._ring.load(LAYOUT["synced"])
        for successor in slots.bases(self._ring, self._first)[1:]:
            if successor > synced:
                return
            self._first += 1
            slots.retire(self._ring, self._first)

    def _redo(self) -> None:
        """Rewrite what is written and not known to be durable.

        The predecessor died between fdatasync and telling its result. If the disk had refused,
        the kernel has marked those pages clean, and a new sync would prove nothing; so the same
        bytes are written once more, from the files and checked, before they are synced.
        """
        synced, written = self._ring.load(LAYOUT["synced"]), self._ring.load(LAYOUT["written"])
        try:
            rewrite(self._directory, synced, written)
        except (OSError, LogstoreError) as error:
            role.fail(self._ring, "rewrite after an interrupted sync", error, self._directory.path)

    def step(self) -> bool:
        """Sync if it is due; tell whether it was."""
        ring = self._ring
        # Order: `written` before the slots: a slot is pushed before bytes are written there.
        target, synced = ring.load(LAYOUT["written"]), ring.load(LAYOUT["synced"])
        if target <= synced or self._client.state == State.FAILED or not self._due(synced):
            return False
        if not role.sound(self._client):
            return False
        began_ns = time.monotonic_ns()
        ring.store(LAYOUT["sync_intent"], target)
        point("sync.intent")
        try:
            self._sync_up_to(target)
        except (OSError, LogstoreError) as error:
            # Never try again: what the disk holds is unknown from here on.
            role.fail(ring, "fdatasync", error, self._directory.path)
            return False
        ring.advance(Level.SYNCED, target)
        ring.count_sync(target - synced, time.monotonic_ns() - began_ns)
        self._last_sync_s = time.monotonic()
        self._retire(target)
        return True

    def _due(self, synced: int) -> bool:
        if self._ring.load(LAYOUT["sync_request"]) > synced:
            return True
        return time.monotonic() - self._last_sync_s >= self._interval_s

    def _sync_up_to(self, target: int) -> None:
        self._open_new_segments()
        for segment in self._segments:
            if segment.base_lsn < target:
                self._directory.sync_file(segment.fd)
                point("sync.file")
        if not self._names_durable:
            self._directory.sync()
            self._names_durable = True

    def _open_new_segments(self) -> None:
        for base in slots.bases(self._ring, self._first + len(self._segments)):
            fd = self._directory.open_read(segment_name(base))
            self._segments.append(_Unsynced(base, fd))
            self._names_durable = False

    def _retire(self, synced: int) -> None:
        """Close segments whose successor begins at or below what is durable."""
        while len(self._segments) > 1 and self._segments[1].base_lsn <= synced:
            self._directory.close_file(self._segments.pop(0).fd)
            self._first += 1
            slots.retire(self._ring, self._first)

    def idle(self) -> None:
        """Sleep until somebody waits for the disk, or the interval is over."""
        ring = self._ring
        if self._client.state == State.FAILED:
            time.sleep(0.1)
        elif self._sync_in_c(ring.keep_syncing, self._client.state):
            return
        elif ring.load(LAYOUT["written"]) > ring.load(LAYOUT["synced"]):
            rest_s = max(self._last_sync_s + self._interval_s - time.monotonic(), 0.0)
            self._sync_in_c(ring.syncer_idle, Mode.NAPPING, self._client.state, rest_s)
        else:
            self._sync_in_c(ring.syncer_idle, Mode.SLEEPING, self._client.state, DEEP_SLEEP_S)

    def _sync_in_c(self, idle: Callable[..., bool], *how: float) -> bool:
        """Sync what somebody waits for, without Python; tell whether to look for work again."""
        ring = self._ring
        plain = len(self._segments) == 1 and self._names_durable and self._directory.direct
        fd = self._segments[0].fd if plain else -1
        before = ring.load(LAYOUT["synced"])
        try:
            more = idle(*how, fd, self._first + 1)
        except OSError as error:
            name = segment_name(self._segments[0].base_lsn)
            role.fail(ring, "fdatasync", error, self._directory.path / name)
            return True
        moved = ring.load(LAYOUT["synced"]) > before
        if moved:
            self._last_sync_s = time.monotonic()
        return more or moved

    def finished(self) -> bool:
        """Tell whether the log is closed, or nobody needs it."""
        return self._client.state == State.CLOSED or self._orphanage.abandoned()

    def close(self) -> None:
        """Close all files and leave the log."""
        for segment in self._segments:
            self._directory.close_file(segment.fd)
        self._directory.close()
        self._client.close()


def main(argv: list[str]) -> int:
    """Run the syncer of a directory."""
    return role.main(SYNCER, Syncer, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
