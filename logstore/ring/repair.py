"""Finding the dead, and undoing what they held."""

from __future__ import annotations

import threading
from pathlib import Path

from logstore.ring import liveness
from logstore.ring._ring import LAYOUT, Ring
from logstore.ring.layout import client_offset, generation_of, index_of


class Liveness:
    """Ask who lives. It has its own description of the lock file, so it sees this process too.

    Any thread may call any method.
    """

    def __init__(self, ring: Ring, directory: Path, *, read_only: bool = False) -> None:
        self._ring = ring
        self._locks = liveness.LockFile(directory, read_only=read_only)
        self._repairing = threading.Lock()  # threads share the description, so its locks too

    def held(self, index: int) -> bool:
        """Tell whether the entry's holder, whichever generation, lives."""
        return self._locks.held(index)

    def any_held(self, first: int, count: int) -> bool:
        """Tell whether any of `count` entries from `first` on is held."""
        return self._locks.any_held(first, count)

    def alive(self, token: int) -> bool:
        """Tell whether the very client that `token` names lives."""
        index = index_of(token)
        generation = self._ring.load(client_offset(index, "generation"))
        mask = LAYOUT["GENERATION_MASK"]
        return (generation & mask) == generation_of(token) and self._locks.held(index)

    def take_recovery(self) -> bool:
        """Become the one that repairs, if nobody else is."""
        if not self._repairing.acquire(blocking=False):
            return False
        if self._locks.take(liveness.RECOVERY):
            return True
        self._repairing.release()
        return False

    def release_recovery(self) -> None:
        """Let somebody else repair."""
        self._locks.release(liveness.RECOVERY)
        self._repairing.release()

    def close(self) -> None:
        """Close the description; idempotent."""
        self._locks.close()


def repair_guard(ring: Ring, liveness: Liveness) -> bool:
    """Free the guard if its owner is dead; tell whether it was.

    May be called by any writer and by the supervisor, at any time; one of them does it.
    Nothing is taken from a living owner.
    """
    owner = ring.load(LAYOUT["owner"])
    if owner == 0 or liveness.alive(owner) or not liveness.take_recovery():
        return False
    try:
        return ring.repair(owner)
    finally:
        liveness.release_recovery()
