"""Compaction: dropping sealed segments that nobody needs; a chore of the committer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from logstore.files import Directory
from logstore.pins import Orphans, verdicts_on
from logstore.points import point
from logstore.ring._ring import LAYOUT
from logstore.ring.client import Client
from logstore.ring.liveness import PLACES
from logstore.segments.inventory import leftovers_among
from logstore.segments.needed import Reason, Verdict, compaction
from logstore.segments.segment import segment_name
from logstore.segments.voided import VoidedParts

if TYPE_CHECKING:
    from logstore.segments.footer import Footer
    from logstore.segments.manifest import Manifest, SealedSegment

PAUSE: Final = 4  # times as long as a compaction took passes until the next unasked for
UNDECIDED_S: Final = 1.0  # until the next look at transactions that may be over

_STRONG: Final = (Reason.PIN, Reason.OPEN_TRANSACTION, Reason.NEWEST, Reason.REVERT)

logger = logging.getLogger("logstore.committer")


class Compactor:
    """Say when a running log is to be compacted, and do it. For the committer's chores."""

    def __init__(self, client: Client, directory: Directory) -> None:
        self._client = client
        self._directory = directory
        self._voided = VoidedParts(directory, client.identity.uuid)
        self._orphans = Orphans()
        self._dropped: list[SealedSegment] = []  # saved as dropped, and not unlinked yet
        self._answered = client.ring.load(LAYOUT["compact_done"])
        self._queued = self._sealed_since = False
        self._next_s = 0.0

    def sealed(self) -> None:
        """Take note that there is one more segment to judge."""
        self._sealed_since = True

    def is_due(self) -> bool:
        """Tell whether there is something new, and the last time is a while ago."""
        return self._sealed_since and time.monotonic() >= self._next_s

    def is_to_be_queued(self) -> bool:
        """Tell, once for each `compact`, whether it is due or a client has asked for it."""
        asked = self._client.ring.load(LAYOUT["compact_request"]) != self._answered
        if self._queued or not (asked or self.is_due()):
            return False
        self._queued = True
        return True

    def compact(self, manifest: Manifest, save: Callable[[Manifest], None]) -> None:
        """Drop what nobody needs; durable on return.

        Does nothing for now while somebody gives a cursor its place. After an error it can be done
        again, with the manifest that was saved last.

        Crash: a segment that the saved manifest does not list any more stays as a file, until the
        next committer calls `remove_leftovers`.

        Args:
            manifest: What there is.
            save: Called with what is left, if that is less; durable on return.
        """
        ring = self._client.ring
        number = ring.load(LAYOUT["compact_request"])
        began_s = time.monotonic()
        # Whoever holds this is about to save what the look at the pins would miss, and wakes the
        # committer then. It may be stopped, so it is not waited for: sealing must go on.
        alone = self._client.duties.take(PLACES)
        if alone:
            try:
                self._drop(manifest, save)
            finally:
                self._client.duties.give_back(PLACES)
            ring.store(LAYOUT["compact_done"], number)
            self._answered = number
        ended_s = time.monotonic()
        self._queued = False
        self._sealed_since = not alone or self._orphans.undecided
        rest_s = UNDECIDED_S if self._orphans.undecided else 0.0
        self._next_s = ended_s + max(rest_s, PAUSE * (ended_s - began_s))

    def _drop(self, manifest: Manifest, save: Callable[[Manifest], None]) -> None:
        client, directory = self._client, self._directory
        verdicts, footers = verdicts_on(client, directory, manifest, self._voided, self._orphans)
        plan = compaction(manifest, _retained(client, directory, verdicts, footers))
        if plan.dropped:
            point("compact.judged")
            save(plan.manifest)
            point("compact.saved")
            self._dropped += plan.dropped
        if self._dropped:
            names = [segment_name(one.base_lsn) for one in self._dropped]
            _unlink(client, directory, plan.manifest, names)
            dropped_bytes = sum(one.end_lsn - one.base_lsn for one in self._dropped)
            # Order: the files before the count: who sees it lists them anew.
            client.ring.add(LAYOUT["compact_bytes"], dropped_bytes)
            logger.info("dropped %d segments, %d bytes", len(names), dropped_bytes)
            self._dropped = []


def remove_leftovers(
    client: Client, directory: Directory, manifest: Manifest, bases: Iterable[int]
) -> None:
    """Unlink the segments that a predecessor dropped from the manifest, and died.

    Args:
        client: The committer's attachment.
        directory: The data directory.
        manifest: What there should be.
        bases: Where the segments begin that were there at the start.

    Raises:
        Corruption: A segment that is not in the manifest is not one of them.
    """
    leftovers = leftovers_among(directory, manifest, bases)
    if leftovers:
        _unlink(client, directory, manifest, leftovers)
        logger.info("removed %d segments that had been dropped before", len(leftovers))


def _unlink(client: Client, directory: Directory, manifest: Manifest, names: Sequence[str]) -> None:
    # Order: the manifest before the start: reverts list no interval that ends before it. Both words
    # before the files: a reader is told that records are gone, and takes none from the ring that
    # another has found to be gone.
    client.ring.store(LAYOUT["start"], manifest.start_lsn)
    end = manifest.sealed[-1].end_lsn if manifest.sealed else manifest.start_lsn
    client.ring.store(LAYOUT["dropped_below"], end)
    for name in names:
        with suppress(FileNotFoundError):
            directory.unlink(name)
        point("compact.unlinked")
    directory.sync()


def _too_old(
    directory: Directory, base_lsns: Sequence[int], footers: list[Footer], age_ns: int
) -> int:
    """Return how many segments, from the oldest on, ended longer than `age_ns` ago."""
    now = time.time_ns()
    for count in range(len(footers), 0, -1):
        times = footers[count - 1].times
        ended_ns = times[-1].time_ns if times else now  # filled between two marks: unknown
        if ended_ns > now:
            # The clock was ahead, or is back; the file's own time may be right.
            ended_ns = directory.modified_ns(segment_name(base_lsns[count - 1]))
        if now - ended_ns > age_ns:
            return count  # all before it are older, whatever their clock said
    return 0


def _retained(
    client: Client, directory: Directory, verdicts: list[Verdict], footers: list[Footer]
) -> list[Verdict]:
    """Let size and age limits drop the oldest segments too, though their records are needed.

    Never one that a reader, cursor or open transaction needs.
    """
    most_bytes = client.ring.load(LAYOUT["retain_bytes"])
    most_age_ns = client.ring.load(LAYOUT["retain_age_ns"])
    if not most_bytes and not most_age_ns:
        return verdicts
    total = sum(verdict.end_lsn - verdict.base_lsn for verdict in verdicts)
    bases = [verdict.base_lsn for verdict in verdicts]
    old = _too_old(directory, bases, footers, most_age_ns) if most_age_ns else 0
    kept = []
    for number, verdict in enumerate(verdicts):
        too_much = most_bytes and total > most_bytes
        too_old = number < old
        strong = any(hold.reason in _STRONG for hold in verdict.holds)
        if (too_much or too_old) and not strong:
            verdict = Verdict(verdict.base_lsn, verdict.end_lsn, ())
        if verdict.droppable:
            total -= verdict.end_lsn - verdict.base_lsn
        kept.append(verdict)
    return kept
