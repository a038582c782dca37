"""Who stays in the guard although it lives: it is told of, and nothing is taken from it."""

from __future__ import annotations

import time
from typing import Final

from logstore.ring._ring import LAYOUT, Ring

LATE_S: Final = 0.75
STALLS: Final = {
    "record": "pid %d does not finish its record at LSN %d; all later ones wait for it",
    "guard": "pid %d does not leave the guard at LSN %d; nobody can append",
}
"""What is told of a stall, by what `status` says that it holds; takes pid and LSN."""


class GuardWatch:
    """Look at the guard now and then, and publish for how long nothing has moved in it.

    Whoever is seen inside again and again, with the same head and the same intent, has been there
    all the time: a stay takes well under a microsecond.
    """

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._seen = (0, 0, 0)
        self._since_s = self._looked_s = time.monotonic()
        if ring.load(LAYOUT["held_lsn"]):
            ring.store(LAYOUT["held_lsn"], 0)  # what a predecessor saw

    def look(self) -> None:
        """Look once; two looks that are far apart prove nothing."""
        ring, now = self._ring, time.monotonic()
        seen = (ring.load(LAYOUT["owner"]), ring.load(LAYOUT["head"]), ring.load(LAYOUT["intent"]))
        stays = seen[0] != 0 and seen == self._seen and now - self._looked_s < LATE_S
        if not stays:
            self._since_s = now
        self._seen, self._looked_s = seen, now
        if stays:
            ring.store(LAYOUT["held_ns"], round((now - self._since_s) * 1e9))
            ring.store(LAYOUT["held_owner"], seen[0])
            ring.store(LAYOUT["held_lsn"], seen[1])
        elif ring.load(LAYOUT["held_lsn"]):
            ring.store(LAYOUT["held_lsn"], 0)
