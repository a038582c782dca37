"""Who lives, and holds all others up: it is told of, and nothing is taken from it."""

from __future__ import annotations

import time
from typing import Final

from logstore.ring._ring import LAYOUT, Ring, token
from logstore.ring.layout import COMMITTER, SYNCER, State, Stop, client_offset, index_of
from logstore.ring.repair import Liveness

LATE_S: Final = 0.75
_WORDS: Final = ("lsn", "owner", "ns")
STALLS: Final = {
    "record": "pid %d does not finish its record at LSN %d; all later ones wait for it",
    "guard": "pid %d does not leave the guard at LSN %d; nobody can append",
    "sync": "the syncer, pid %d, stands at LSN %d: it is stopped, or the disk does not answer",
    "drain": "the committer, pid %d, stands at LSN %d: it is stopped, or the disk does not answer",
}
"""What is told of a stall, by what `status` says that it holds; takes pid and LSN."""


class Stall:
    """One of the region's places that tell of a stall: where, for how long, and whose it is."""

    def __init__(self, ring: Ring, words: str) -> None:
        """Take over the words that begin with "blocked", or with "held" or "late"."""
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


class RoleWatch:
    """Look now and then whether the syncer and the committer get on with what there is to do.

    One that is seen with work, and where it was at the look before, has not got on between the two.
    """

    def __init__(self, ring: Ring, liveness: Liveness) -> None:
        self._ring = ring
        self._liveness = liveness
        self._stall = Stall(ring, "late")
        self._seen = {SYNCER: 0, COMMITTER: 0}
        self._looked_s = 0.0

    def look(self) -> None:
        """Look once; two looks that are far apart prove nothing."""
        now = time.monotonic()
        recent = now - self._looked_s < LATE_S
        self._looked_s = now
        # The committer may well wait for the syncer, which is then to be named.
        standing = [role for role in (SYNCER, COMMITTER) if self._stands(role) and recent]
        role = standing[0] if standing else SYNCER
        generation = self._ring.load(client_offset(role, "generation"))
        self._stall.tell(bool(standing), self._seen[role], token(role, generation))

    def _stands(self, role: int) -> bool:
        """Tell whether a role has work, and is where it was at the look before."""
        before = self._seen[role]
        position = self._ring.load(LAYOUT["synced" if role == SYNCER else "written"])
        busy = self._has_work(role, position) and self._liveness.held(role)
        self._seen[role] = position if busy else 0
        return busy and before == position

    def _has_work(self, role: int, position: int) -> bool:
        ring, state = self._ring, self._ring.load(LAYOUT["state"])
        if role == SYNCER:
            waited_for = min(ring.load(LAYOUT["sync_request"]), ring.load(LAYOUT["written"]))
            works = state in (State.RUNNING, State.DRAINING, State.FULL)
            return works and (waited_for > position or ring.load(LAYOUT["sync_intent"]) > position)
        to, stop, _, owner = ring.walk(position, 1, False)
        # Its own record in flight is a mark; those of others it tells of itself.
        own = stop == Stop.BLOCKED and index_of(owner) == COMMITTER
        return state in (State.RUNNING, State.DRAINING) and (to > position or own)
