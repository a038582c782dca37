"""Counting what a damaged log has lost in each group, from gaps in seqs and from footers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from logstore.format import FRAME_HEADER_SIZE, Kind
from logstore.segments.catalog import DEFAULT_GROUP
from logstore.segments.footer import Footer
from logstore.segments.manifest import Manifest
from logstore.segments.ranges import RangeSet
from logstore.segments.remains import Remains
from logstore.segments.repairs import Hole


class Tally:
    """Walk through what is left of a log, once.

    A seq that lies between two that were seen counts as lost if a hole lies between them too; so
    the count is the records that were lost, and reservations there that came to nothing.

    Attributes:
        lost: Ranges of seqs, by group id.
        names: Names of groups, by id.
        next_seqs: By group id, a seq that no record can ever have had, nor any higher one.
    """

    def __init__(
        self, manifest: Manifest, remains: Sequence[Remains], holes: Iterable[Hole], reach: int
    ) -> None:
        self._holes = tuple(holes)
        self._seen: dict[int, tuple[int, int]] = {}
        self.lost: dict[int, RangeSet] = {}
        self.names: dict[int, str] = {0: DEFAULT_GROUP}
        for one in remains:
            self._take(one)
        known = max((one.known_lsn for one in remains), default=manifest.sealed_end_lsn)
        unknown = max(0, reach - known) // FRAME_HEADER_SIZE if self._holes else 0
        self.next_seqs = {group: seq + unknown + 1 for group, (_, seq) in self._seen.items()}
        if unknown and self._holes:
            for group, (_, seq) in self._seen.items():
                self._lose(group, seq + 1, seq + unknown)

    def remember(self, group: int, first: int, last: int) -> None:
        """Take in seqs that were found to be lost earlier."""
        self._lose(group, first, last)
        self.next_seqs[group] = max(self.next_seqs.get(group, 1), last + 1)

    def _take(self, one: Remains) -> None:
        footer = one.footer
        if footer is not None:
            self._begin(one.base_lsn, footer)
        for run in one.runs:
            if self._is_cut(run.end_lsn):
                for group, _, last, _ in run.groups():
                    self._known(group, last, run.end_lsn)
                continue
            for group, first, last, _ in run.groups():
                if last:
                    self._come_to(group, first, last, run.end_lsn)
            for _, kind, group, _, payload in run.system():
                if kind == Kind.GROUP_NAME:
                    self.names[group] = bytes(payload).decode(errors="replace")
        if footer is not None:
            for state in footer.groups:
                self.names[state.id] = state.name
                self._known(state.id, state.last_seq, footer.end_lsn)

    def _begin(self, base_lsn: int, footer: Footer) -> None:
        """Learn from a footer what came before its segment: compaction may have dropped that."""
        for state in footer.groups:
            before = state.first_seq - 1 if state.first_seq else state.last_seq
            self._known(state.id, before, base_lsn)

    def _is_cut(self, end_lsn: int) -> bool:
        return any(hole.from_lsn < end_lsn <= hole.until_lsn for hole in self._holes)

    def _come_to(self, group: int, first: int, last: int, lsn: int) -> None:
        """Frames from one seq to another are there, and end at `lsn`."""
        self._known(group, first - 1, lsn)
        self._seen[group] = lsn, max(last, self._seen.get(group, (0, 0))[1])

    def _known(self, group: int, last: int, lsn: int) -> None:
        """Up to `last` seqs were given out below `lsn`, whether or not they are there."""
        at, seen = self._seen.get(group, (0, 0))
        if last > seen:
            if any(hole.from_lsn < lsn and hole.until_lsn > at for hole in self._holes):
                self._lose(group, seen + 1, last)
            self._seen[group] = lsn, last

    def _lose(self, group: int, first: int, last: int) -> None:
        self.lost.setdefault(group, RangeSet()).add(first, last)
