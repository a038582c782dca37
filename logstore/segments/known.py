"""The segments of one log, as far as somebody who looks for records knows them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import TypeAlias

from logstore.errors import Corruption, NotFound
from logstore.files import Directory
from logstore.segments.disk_errors import reading
from logstore.segments.footer import GroupRange
from logstore.segments.index import Footers, GrowingSegment, SegmentIndex
from logstore.segments.segment import bases_of, read_header, segment_name

_Found: TypeAlias = tuple[SegmentIndex, GroupRange]


class KnownSegments:
    """Keep what was read of a log's segments: their list, some footers, surveys that go on.

    For one thread. The list is as old as the last `refresh`.

    Args:
        directory: The data directory; stays the caller's.
        uuid: The log that all segments must belong to.
        limit: Says how far the files have been written, always a frame's end.
        removed: Gives another number once a segment has been removed; None if nothing tells.

    Attributes:
        sealed: Where segments with a footer begin, in order.
        growing: Those behind them, by where they begin.
    """

    def __init__(
        self,
        directory: Directory,
        uuid: bytes,
        limit: Callable[[], int],
        removed: Callable[[], int] | None,
    ) -> None:
        self.directory = directory
        self.uuid = uuid
        self.limit = limit
        self.removed = removed
        self.footers = Footers(directory, uuid)
        self.sealed: list[int] = []
        self.growing: dict[int, GrowingSegment] = {}
        self._seen_removed = -1
        self._seen_footers = 0
        # By group: where ranges of seqs in segments begin, and those ranges.
        self._ranges: dict[int, tuple[list[int], list[_Found]]] = {}

    @property
    def bases(self) -> list[int]:
        """Where all segments begin, in order."""
        return [*self.sealed, *self.growing]

    def check(self) -> None:
        """List the segments if that was not done yet, or if any was removed since."""
        if self.removed is None:
            stale = not self.sealed and not self.growing
        else:
            stale = self.removed() != self._seen_removed
        if stale:
            self.refresh()

    def refresh(self) -> None:
        """List the directory, and see which segments have been sealed since."""
        if self.removed is not None:
            # Order: before the listing; what is removed after this is a reason to list again.
            self._seen_removed = self.removed()
        with reading("the data directory"):
            bases = bases_of(self.directory.names())
        for base in {*self.sealed, *self.growing} - set(bases):
            self.footers.forget(base)
        count = len(bases)
        growing: dict[int, GrowingSegment] = {}
        while count and self.footers.get(bases[count - 1]) is None:
            count -= 1
            base = bases[count]
            growing[base] = self.growing.get(base) or self._begun(base)
        self.sealed = bases[:count]
        self.growing = dict(sorted(growing.items()))

    def _begun(self, base: int) -> GrowingSegment:
        return GrowingSegment(read_header(self.directory, segment_name(base), uuid=self.uuid))

    def index(self, base: int) -> SegmentIndex:
        """Return what is known of a segment, having read what is new.

        Raises:
            NotFound: It is gone.
            Corruption, IncompatibleFormat, ReadFailed, PermissionDenied: It cannot be read.
        """
        growing = self.growing.get(base)
        if growing is not None:
            ends = [*(later for later in self.growing if later > base), self.limit()]
            with reading(segment_name(base)):
                return growing.read_on(self.directory, min(ends))
        index = self.footers.get(base)
        if index is None:
            raise Corruption("the footer of this segment is gone", segment=segment_name(base))
        return index

    def back_from(self, start_lsn: int) -> Iterator[SegmentIndex]:
        """Give what is known of the segments that begin below `start_lsn`, the newest first."""
        self.refresh()
        bases = self.bases
        for base in reversed(bases[: bisect_left(bases, start_lsn)]):
            try:
                yield self.index(base)
            except NotFound:
                self.refresh()  # It was dropped, and is not to be read any more.

    def with_seq(self, group: int, seq: int) -> _Found | None:
        """Return which segment has a seq of a group, if what was read so far says so.

        Reads nothing. None proves nothing.
        """
        if self.footers.changes != self._seen_footers:
            self._seen_footers = self.footers.changes
            self._ranges.clear()
        listed = self._ranges.get(group)
        if listed is None:
            listed = self._ranges[group] = self._list_ranges(group)
        at = bisect_right(listed[0], seq) - 1
        if at >= 0 and seq <= listed[1][at][1].last_seq:
            return listed[1][at]
        for growing in self.growing.values():
            here = growing.index.groups.get(group)
            if here is not None and here.first_seq <= seq <= here.last_seq:
                return growing.index, here
        return None

    def _list_ranges(self, group: int) -> tuple[list[int], list[_Found]]:
        found: list[_Found] = []
        for index in self.footers.kept():
            here = index.groups.get(group)
            if here is not None and here.first_seq:
                found.append((index, here))
        found.sort(key=lambda one: one[1].first_seq)
        return [here.first_seq for _, here in found], found
