"""Who lives, and holds all others up: it is told of, and nothing is taken from it."""

from __future__ import annotations

import time
from typing import Final

from logstore.ring._ring import LAYOUT, Ring

LATE_S: Final = 0.75
_WORDS: Final = ("lsn", "owner", "ns")
STALLS: Final = {
    "record": "pid %d does not finish its record at LSN %d; all later ones wait for it",
    "guard": "pid %d does not leave the guard at LSN %d; nobody can append",
}
"""What is told of a stall, by what `status` says that it holds; takes pid and LSN."""


class Stall:
    """One of the region's places that tell of a stall: where, for how long, and whose it is."""

    def __init__(self, ring: Ring, words: str) -> None:
        """Take over the words that begin with "blocked" (committer) or "held" (supervisor)."""
        self._ring = ring
        self._lsn, self._owner, self._ns = (LAYOUT[f"{words}_{word}"] for word in _WORDS)
        self._since_s = 0.0
        self._told = True  # perhaps by a predecessor

    def tell(self, stalled: bool, lsn: int, owner: int) -> None:
        """Say how it is at this look."""
        ring, now = self._ring, time.monotonic()
        if not stalled:
            if self._told:
                ring.store(self._lsn, 0)
            self._told = False
            return
        if not (self._told and self._since_s and lsn == ring.load(self._lsn)):
            self._since_s = now
        self._told = True
        # An age, not a time: who reads it may live by another clock.
        ring.store(self._ns, round((now - self._since_s) * 1e9))
        ring.store(self._owner, owner)
        ring.store(self._lsn, lsn)


class GuardWatch:
    """Look at the guard now and then, and tell of who stays in it.

    Whoever is seen inside again and again, with the same head and the same intent, has been there
    all the time: a stay takes well under a microsecond.
    """

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._stall = Stall(ring, "held")
        self._seen = (0, 0, 0)
        self._looked_s = 0.0

    def look(self) -> None:
        """Look once; two looks that are far apart prove nothing."""
        ring, now = self._ring, time.monotonic()
        seen = (ring.load(LAYOUT["owner"]), ring.load(LAYOUT["head"]), ring.load(LAYOUT["intent"]))
        stays = seen[0] != 0 and seen == self._seen and now - self._looked_s < LATE_S
        self._seen, self._looked_s = seen, now
        self._stall.tell(stays, seen[1], seen[0])
