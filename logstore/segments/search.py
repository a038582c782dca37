"""Finding records by seq and by time: footers first, then points, then a short scan.

Nothing here grows with the log: a lookup reads as many footers as it takes to halve the list of
segments down to one, and the last few of them are kept.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from logstore.disk_errors import reading
from logstore.errors import Compacted, Corruption, NotFound, NotWritten
from logstore.files import Directory
from logstore.format import Kind, decode_mark
from logstore.frames import BAD, SHORT, Record, scan
from logstore.lsn import MAXIMUM_LSN
from logstore.segments.footer import MAXIMUM_TIMES
from logstore.segments.index import SegmentIndex
from logstore.segments.known import KnownSegments
from logstore.segments.segment import placed, segment_name

_RECORDS: Final = 1 << Kind.DATA | 1 << Kind.TXN_PART
_SMALL_READ: Final = 4096
_LARGE_READ: Final = 1024 * 1024

_Result = TypeVar("_Result")


class Finder:
    """Find places in the files of one log.

    Disturbs nobody: segments may be added, sealed and removed meanwhile. Keeps no file open.
    Threads may share it. All methods block on the disk if what they need is not in memory, and
    raise Corruption, IncompatibleFormat, ReadFailed and PermissionDenied like any reader.

    Args:
        directory: The data directory; stays the caller's.
        uuid: The log that all segments must belong to.
        limit: Says how far the files have been written, always a frame's end.
        removed: Gives another number once a segment has been removed. Without it, what was read
            before of a removed segment is believed until something else in it is looked for.
        tail_lsn: Footers of segments that begin here or behind are not believed.

    Attributes:
        segments: What is known of the segments; to be used with `lock` held.
    """

    def __init__(
        self,
        directory: Directory,
        uuid: bytes,
        limit: Callable[[], int],
        removed: Callable[[], int] | None = None,
        *,
        tail_lsn: int = MAXIMUM_LSN,
    ) -> None:
        self._directory = directory
        self.segments = KnownSegments(directory, uuid, limit, removed, tail_lsn)
        self.lock = threading.Lock()

    def segment_of_seq(self, group: int, seq: int) -> int:
        """Return where the segment begins that a seq of a group belongs to.

        Raises:
            NotWritten: The group has not come so far.
            Compacted: The segment was dropped.
        """
        return self._again(lambda: self._segment_of(group, seq)).base_lsn

    def lsn_of_seq(self, group: int, seq: int) -> int:
        """Return the position of a record.

        Raises:
            NotWritten: There is no such record: the group has not come so far, or the seq was
                given to a reservation that came to nothing.
            Compacted: It was dropped with its segment.
        """
        return self._again(lambda: self._record(group, seq, [], exact=True)).lsn

    def load_seq(self, group: int, seq: int, names: list[str]) -> Record:
        """Return a record, a part of a transaction also being one; raises like `lsn_of_seq`."""
        return self._again(lambda: self._record(group, seq, names, exact=False))

    def lsn_at(self, time_ns: int) -> int:
        """Return a position before which nothing was appended at or after a wall-clock time.

        It is the latest one that the clock readings in the log prove: while records flow, at
        most the time from one mark to the next before it. It is where a frame begins, or where
        the files end. If the clock was set back, it is one of those that would do.

        Raises:
            NotFound: There are no segments.
        """
        return self._again(lambda: self._lsn_at(time_ns))

    def first_seq_from(self, group: int, lsn: int) -> int:
        """Return the lowest seq of a group in the segment of `lsn` that is not before it.

        If there is none, the next one that the group got, or will get, behind that segment.

        Args:
            group: The group's id.
            lsn: Any position from the base of a segment to its end.

        Raises:
            NotFound: The segment is gone.
        """
        return self._again(lambda: self._first_seq_from(group, lsn))

    def _again(self, find: Callable[[], _Result]) -> _Result:
        """Call `find`, with a newer list of segments whenever one is found to be gone."""
        with self.lock:
            segments = self.segments
            segments.check()
            while True:
                try:
                    return find()
                except (Compacted, NotWritten):
                    raise
                except NotFound:
                    before = segments.bases
                    segments.refresh()
                    if before == segments.bases:
                        raise

    # By seq.

    def _segment_of(self, group: int, seq: int) -> SegmentIndex:
        found = self._known_segment_of(group, seq)
        if found is None:
            self.segments.refresh()
            found = self._known_segment_of(group, seq)
        if found is None:
            raise NotWritten(f"the group has not come to seq {seq}")
        return found

    def _known_segment_of(self, group: int, seq: int) -> SegmentIndex | None:
        if not self.segments.sealed or self._last_seq(self.segments.sealed[-1], group) < seq:
            for base in self.segments.growing:
                index = self.segments.index(base)
                here = index.groups.get(group)
                if here is not None and here.first_seq <= seq <= here.last_seq:
                    return index
                if here is not None and here.last_seq > seq:
                    # The newest sealed segment is never dropped, so there is nothing between.
                    raise NotWritten(f"no record has seq {seq}: its reservation came to nothing")
            return None
        at = bisect_left(self.segments.sealed, seq, key=lambda base: self._last_seq(base, group))
        index = self.segments.index(self.segments.sealed[at])
        here = index.groups[group]
        if here.first_seq and here.first_seq <= seq:
            return index
        before_lsn = self.segments.index(self.segments.sealed[at - 1]).end_lsn if at else 0
        if before_lsn == index.header.previous_end_lsn:
            raise NotWritten(f"no record has seq {seq}: its reservation came to nothing")
        raise Compacted(f"the record with seq {seq} was dropped")

    def _last_seq(self, base: int, group: int) -> int:
        here = self.segments.index(base).groups.get(group)
        return 0 if here is None else here.last_seq

    def _record(self, group: int, seq: int, names: list[str], *, exact: bool) -> Record:
        """Return a record; with `exact`, one with only the LSN right if a point tells it."""
        if seq < 1:
            raise NotWritten(f"no record has seq {seq}")
        index = self._segment_of(group, seq)
        points = index.groups[group].points
        at = points.at_seq(seq)
        if at >= 0 or not points:
            lsn = points[at].lsn if at >= 0 else index.indexed_lsn
            if exact and at >= 0 and points[at].seq == seq:
                return Record(lsn, "", seq, Kind.DATA, b"")
            stop_lsn = points[at + 1].lsn if at + 1 < len(points) else index.end_lsn
            name = names[group] if group < len(names) else f"#{group}"
            for record in self._scan(index, lsn, stop_lsn, names, _RECORDS):
                if record.seq >= seq and record.group == name:
                    if record.seq == seq:
                        return record
                    break
        raise NotWritten(f"no record has seq {seq}: its reservation came to nothing")

    def _first_seq_from(self, group: int, lsn: int) -> int:
        index = self.segments.index(self._base_at(lsn))
        if lsn >= index.end_lsn:
            self.segments.refresh()  # One that was begun since may have the position.
            index = self.segments.index(self._base_at(lsn))
        here = index.groups.get(group)
        if here is None or not here.first_seq:
            # A footer knows what came before its segment, which may have been dropped meanwhile.
            before = here.last_seq if here is not None else 0
            return (before or self._last_seq_before(index.base_lsn, group)) + 1
        if lsn <= index.base_lsn:
            return here.first_seq
        points = here.points
        at = points.from_lsn(lsn)
        found = points[at].seq if at < len(points) else here.last_seq + 1
        if at < len(points) and points[at].lsn == lsn:
            return found
        if at or not points:
            lower = points[at - 1].lsn if at else index.indexed_lsn
            stop_lsn = points[at].lsn if at < len(points) else index.end_lsn
            for record in self._scan(index, lower, stop_lsn, [], _RECORDS):
                if record.lsn >= lsn and record.group == f"#{group}":
                    return record.seq
        return found

    def _last_seq_before(self, base_lsn: int, group: int) -> int:
        for base in reversed(self.segments.growing):
            here = self.segments.index(base).groups.get(group) if base < base_lsn else None
            if here is not None and here.last_seq:
                return here.last_seq
        at = bisect_left(self.segments.sealed, base_lsn)
        return self._last_seq(self.segments.sealed[at - 1], group) if at else 0

    def _base_at(self, lsn: int) -> int:
        bases = self.segments.bases
        at = bisect_right(bases, lsn) - 1
        if at < 0:
            raise NotFound("there is no segment with this position", lsn=lsn)
        return bases[at]

    # By time.

    def _lsn_at(self, time_ns: int) -> int:
        self.segments.refresh()
        bases = self.segments.bases
        if not bases:
            raise NotFound("there are no segments", path=self._directory.path)
        at = bisect_right(bases, time_ns, key=self.segments.footers.created_ns) - 1
        if at < 0:
            return bases[0]
        index = self.segments.index(bases[at])
        first = index.time_before(time_ns)
        lsn = index.base_lsn if first < 0 else index.times[first].lsn
        last = first + 1 == len(index.times)
        # Of very many marks a footer has only some; of the latest, a survey may have none.
        if len(index.times) > MAXIMUM_TIMES // 2 or (last and bases[at] in self.segments.growing):
            stop_lsn = index.end_lsn if last else index.times[first + 1].lsn
            for mark in self._scan(index, lsn, stop_lsn, [], 1 << Kind.MARK):
                if decode_mark(bytes(mark.payload))[0] <= time_ns:
                    lsn = mark.lsn
        return lsn

    # Scanning.

    def _scan(
        self, index: SegmentIndex, lsn: int, stop_lsn: int, names: list[str], kinds: int
    ) -> Iterator[Record]:
        """Give the frames from one boundary to another; reads little at first, then more."""
        header, size = index.header, _SMALL_READ
        name = segment_name(header.base_lsn)
        with reading(name):
            fd = self._directory.open_read(name)
            try:
                while lsn < stop_lsn:
                    wanted = min(size, stop_lsn - lsn)
                    data = self._directory.read(fd, wanted, header.offset_of(lsn))
                    records, next_lsn, verdict = scan(
                        data, lsn, header.salt, stop_lsn, names, kinds=kinds
                    )
                    yield from records
                    cut = verdict == SHORT and len(data) == wanted
                    if verdict == BAD or (next_lsn == lsn and not cut):
                        raise placed(
                            Corruption("the frame here is not what was written"), header, next_lsn
                        )
                    size = max(2 * size, _LARGE_READ) if next_lsn == lsn else _LARGE_READ
                    lsn = next_lsn
            finally:
                self._directory.close_file(fd)
