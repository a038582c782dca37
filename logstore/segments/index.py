"""What is known of single segments, to find things in them: footers, or surveys that go on."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from logstore.errors import Corruption
from logstore.files import Directory
from logstore.format import Kind, SegmentHeader, decode_mark
from logstore.frames import SHORT, Survey
from logstore.segments.disk_errors import reading
from logstore.segments.footer import STRIDE, GroupRange, TimePoint, footer_from
from logstore.segments.points import Points
from logstore.segments.segment import header_from, placed, read_header, segment_name
from logstore.segments.survey import CHUNK

KEPT_FOOTERS: Final = 64
KEPT_HEADERS: Final = 1024
_RELIST_RECORDS: Final = 1024
"""A growing segment's points are listed again when it has so many new records."""


@dataclass(slots=True)
class SegmentIndex:
    """Say what is known of one segment.

    Attributes:
        header: Its header.
        end_lsn: Where its last frame ends, as far as it is known.
        groups: What it holds of each group, by id; of one that it does not know, nothing.
        times: Clock readings in the order of the log.
        indexed_lsn: Points and times of everything below are there.
    """

    header: SegmentHeader
    end_lsn: int
    groups: dict[int, GroupRange] = field(default_factory=dict)
    times: Sequence[TimePoint] = ()
    indexed_lsn: int = 0

    @property
    def base_lsn(self) -> int:
        """Where it begins."""
        return self.header.base_lsn

    def boundaries(self) -> list[int]:
        """List places where frames begin, in order, the first and the end among them."""
        found = {self.base_lsn, self.end_lsn, *(point.lsn for point in self.times)}
        for group in self.groups.values():
            found.update(group.points.lsns)
        return sorted(found)

    def time_before(self, time_ns: int) -> int:
        """Return the index of the last clock reading that is not later; -1 if all are."""
        return bisect_right(self.times, time_ns, key=lambda point: point.time_ns) - 1


class GrowingSegment:
    """Keep up with a segment that has no footer yet, reading only what is new."""

    def __init__(self, header: SegmentHeader) -> None:
        self._header = header
        self._survey = Survey(header.base_lsn, header.salt, STRIDE)
        self._points: dict[int, Points] = {}
        self._listed = -_RELIST_RECORDS
        self._indexed_lsn = header.base_lsn
        self._times: list[TimePoint] = []
        self.index = SegmentIndex(header, header.base_lsn)

    def read_on(self, directory: Directory, limit_lsn: int) -> SegmentIndex:
        """Read the frames up to `limit_lsn`, or as many as there are, and return what is known.

        Raises:
            OSError: The file could not be read.
        """
        if self._survey.end_lsn < limit_lsn:
            self._feed(directory, limit_lsn)
        survey = self._survey
        if survey.end_lsn > self.index.end_lsn:
            # Whoever looks for a record goes on from the last point, so these may be behind.
            if survey.record_count >= self._listed + _RELIST_RECORDS:
                self._list_points()
            none = Points()
            groups = {
                number: GroupRange(number, "", first, last, count, self._points.get(number, none))
                for number, first, last, count in survey.groups()
            }
            self.index = SegmentIndex(
                self._header, survey.end_lsn, groups, self._times, self._indexed_lsn
            )
        return self.index

    def _feed(self, directory: Directory, limit_lsn: int) -> None:
        header, survey = self._header, self._survey
        fd = directory.open_read(segment_name(header.base_lsn))
        try:
            size = CHUNK
            while survey.end_lsn < limit_lsn:
                lsn = survey.end_lsn
                wanted = min(size, limit_lsn - lsn)
                data = directory.read(fd, wanted, header.offset_of(lsn))
                _, verdict = survey.feed(data, limit_lsn)
                if verdict != SHORT or (survey.end_lsn == lsn and len(data) < wanted):
                    break
                if survey.end_lsn == lsn:
                    size *= 2  # The frame is larger than what was read.
        finally:
            directory.close_file(fd)

    def _list_points(self) -> None:
        points: dict[int, list[tuple[int, int]]] = {}
        for number, seq, lsn in self._survey.points():
            points.setdefault(number, []).append((seq, lsn))
        self._points = {number: Points(listed) for number, listed in points.items()}
        self._listed = self._survey.record_count
        self._indexed_lsn = self._survey.end_lsn
        self._times = [
            TimePoint(decode_mark(payload)[0], lsn)
            for lsn, kind, _, _, payload in self._survey.system()
            if kind == Kind.MARK
        ]


class Footers:
    """Give what footers say of sealed segments, keeping those that were asked for last.

    Attributes:
        changes: Grows whenever what is kept has changed.
    """

    def __init__(self, directory: Directory, uuid: bytes) -> None:
        self._directory = directory
        self._uuid = uuid
        self._kept: OrderedDict[int, SegmentIndex] = OrderedDict()
        self._created_ns: OrderedDict[int, int] = OrderedDict()
        self.changes = 0

    def kept(self) -> list[SegmentIndex]:
        """Return what is kept, in no order."""
        return list(self._kept.values())

    def get(self, base_lsn: int) -> SegmentIndex | None:
        """Return what the footer of a segment says; None if it is not sealed.

        Raises:
            NotFound: The segment is gone.
            Corruption, IncompatibleFormat, ReadFailed, PermissionDenied: As `read_footer`.
        """
        kept = self._kept.get(base_lsn)
        if kept is not None:
            self._kept.move_to_end(base_lsn)
            return kept
        name = segment_name(base_lsn)
        with reading(name):
            fd = self._directory.open_read(name)
            try:
                header = header_from(self._directory, fd, name, uuid=self._uuid)
                footer = footer_from(self._directory, fd, name)
            finally:
                self._directory.close_file(fd)
        if footer is None:
            return None
        groups = {group.id: group for group in footer.groups}
        index = SegmentIndex(header, footer.end_lsn, groups, footer.times, footer.end_lsn)
        self._kept[base_lsn] = index
        self.changes += 1
        if len(self._kept) > KEPT_FOOTERS:
            self._kept.popitem(last=False)
        return index

    def created_ns(self, base_lsn: int) -> int:
        """Return the time when a segment was begun: all before it had been reserved by then."""
        if base_lsn not in self._created_ns:
            header = read_header(self._directory, segment_name(base_lsn), uuid=self._uuid)
            self._created_ns[base_lsn] = header.created_ns
            if len(self._created_ns) > KEPT_HEADERS:
                self._created_ns.popitem(last=False)
        return self._created_ns[base_lsn]

    def forget(self, base_lsn: int) -> None:
        """Drop what is kept of a segment."""
        self._kept.pop(base_lsn, None)
        self.changes += 1
        self._created_ns.pop(base_lsn, None)


def pieces(
    directory: Directory, header: SegmentHeader, start_lsn: int, end_lsn: int, size: int
) -> Iterator[tuple[int, int]]:
    """Cut a stretch of a segment at frames into pieces of about `size` bytes, from the first on.

    Raises:
        Corruption: A frame in it is not what was written; all pieces before it were given.
        ReadFailed, NotFound: It could not be read.
    """
    name = segment_name(header.base_lsn)
    with reading(name):
        fd = directory.open_read(name)
        try:
            survey = Survey(start_lsn, header.salt, STRIDE)
            wanted = size
            while (lsn := survey.end_lsn) < end_lsn:
                length = min(wanted, end_lsn - lsn)
                data = directory.read(fd, length, header.offset_of(lsn))
                _, verdict = survey.feed(data, end_lsn)
                if survey.end_lsn > lsn:
                    yield lsn, survey.end_lsn
                    wanted = size
                elif verdict == SHORT and len(data) == length:
                    wanted *= 2
                else:
                    raise placed(Corruption("the frame here is not what was written"), header, lsn)
        finally:
            directory.close_file(fd)
