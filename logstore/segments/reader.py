"""Reading records from segment files, in order, across rotations and removals."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

from logstore.disk_errors import reading
from logstore.errors import Compacted, InvalidLSN, LogstoreError, NotFound
from logstore.files import Directory
from logstore.format import SegmentHeader
from logstore.frames import END, SHORT, UNKNOWN_KIND, Record, scan
from logstore.lsn import MAXIMUM_LSN, require_lsn
from logstore.segments.backward import blocks_back
from logstore.segments.footer import footer_from
from logstore.segments.known import KnownSegments
from logstore.segments.segment import bases_of, header_from, read_header, segment_name
from logstore.segments.trouble import not_here, past_hole, trouble

CHUNK: Final = 1024 * 1024  # bytes per read when payloads are copied
# When they are not: each chunk then lives as long as any of its records.
VIEWED_CHUNK: Final = 256 * 1024
EVERY_KIND: Final = (1 << 64) - 1
LOAD_SIZE: Final = 2048  # bytes read at first for a single record


@dataclass(frozen=True, slots=True)
class _OpenSegment:
    fd: int
    header: SegmentHeader

    @property
    def name(self) -> str:
        return segment_name(self.header.base_lsn)


class SegmentReader:
    """Read the records of one log from its files.

    Needs no lock and disturbs nobody: segments may be added, sealed and removed meanwhile. One
    instance is for one thread. It keeps one file and one buffer open until `close`.

    Args:
        directory: The data directory; stays the caller's.
        uuid: The log that all segments must belong to.
        chunk_size: Bytes per read; grows by itself for a larger record.
        tail_lsn: Footers of segments that begin here or behind are not believed.
    """

    def __init__(
        self,
        directory: Directory,
        uuid: bytes,
        *,
        chunk_size: int = CHUNK,
        tail_lsn: int = MAXIMUM_LSN,
    ) -> None:
        self._directory, self._uuid, self._tail_lsn = directory, uuid, tail_lsn
        self._chunk_size = chunk_size
        self._buffer = bytearray()
        self._bases: list[int] = []
        self._open: _OpenSegment | None = None
        self._next_lsn = 0

    @property
    def next_lsn(self) -> int:
        """Where the last chunk that was given out ends, and reading would go on."""
        return self._next_lsn

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; reading again opens it again."""
        if self._open is not None:
            self._directory.close_file(self._open.fd)
            self._open = None

    def chunks(
        self,
        start_lsn: int,
        limit: Callable[[], int],
        names: list[str],
        *,
        kinds: int,
        copy: bool = True,
    ) -> Iterator[list[Record]]:
        """Give the records from `start_lsn` up to the limit, in lists of some hundred KiB.

        Ends when the limit has been reached and asking for it again gives no higher one; it is
        asked only then. Blocks on the disk if the bytes are not in memory.

        Args:
            start_lsn: Where a frame begins. An LSN between two segments means the second.
            limit: Says how far the files have been written, always a frame's end.
            names: Group names by id; may grow while this reads.
            kinds: Which kinds to give: bit `1 << kind` for each.
            copy: Whether payloads are bytes of their own, or else read-only views that keep the
                whole chunk they came with in memory.

        Raises:
            NotFound: Records at `start_lsn` are gone, or never were.
            InvalidLSN: No frame begins at `start_lsn`.
            Corruption: Bytes below the limit are not what was written. All records before
                them have been given.
            IncompatibleFormat: A newer version wrote what is here; likewise.
            ReadFailed, PermissionDenied: A segment could not be read.
        """
        lsn = self._next_lsn = require_lsn(start_lsn, name="start_lsn")
        limit_lsn = limit()
        while lsn < limit_lsn or lsn < (limit_lsn := limit()):
            segment = self._segment_at(lsn, first=lsn == start_lsn)
            with reading(segment.name):
                records, next_lsn, verdict = self._scan(segment, lsn, limit_lsn, names, kinds, copy)
            if next_lsn == lsn:
                # A segment's end looks like damage until the next segment explains it. Asking
                # only here keeps the question out of the usual course.
                behind_lsn = self._behind(segment, lsn, verdict)
                if behind_lsn is None:
                    behind_lsn = past_hole(self._directory, lsn)
                if behind_lsn is None:
                    raise self._trouble(segment, lsn, verdict, limit_lsn, lsn == start_lsn)
                next_lsn = behind_lsn
            lsn = self._next_lsn = next_lsn
            if records:
                yield records

    def chunks_back(
        self, start_lsn: int, floor_lsn: int, names: list[str], *, kinds: int, copy: bool = True
    ) -> Iterator[list[Record]]:
        """Give the records from before `start_lsn` down to `floor_lsn`, the newest first.

        Each list is in that order too. Needs memory for one list, and the time of one pass over
        a segment that is not sealed before the first record of it comes. Blocks on the disk.

        Args:
            start_lsn: Where a frame ends: the first position that is not given, and at most how
                far the files have been written.
            floor_lsn: Where a frame begins, the last that is given; or any position below all
                that are left.
            names, kinds, copy: As for `chunks`.

        Raises:
            InvalidLSN: No frame ends at `start_lsn`, or none begins at `floor_lsn`.
            Corruption, IncompatibleFormat, ReadFailed, PermissionDenied: As `chunks`.
        """
        require_lsn(start_lsn, name="start_lsn")
        require_lsn(floor_lsn, name="floor_lsn")
        known = KnownSegments(self._directory, self._uuid, lambda: start_lsn, None, self._tail_lsn)
        size = self._chunk_size if copy else VIEWED_CHUNK
        for first, last in blocks_back(self._directory, known, start_lsn, floor_lsn, size):
            block = list(self.chunks(first, partial(int, last), names, kinds=kinds, copy=copy))
            for records in reversed(block):
                records.reverse()
                yield records

    def load(self, lsn: int, limit_lsn: int, names: list[str], *, kinds: int) -> Record:
        """Return the one record at `lsn`; reads little more than it.

        Args:
            lsn: Where its frame begins, below the limit.
            limit_lsn: How far the files have been written, a frame's end.
            names: Group names by id.
            kinds: Which kinds count as records.

        Raises:
            InvalidLSN: No frame begins there, or one that is not of these kinds.
            Compacted: The segment with it was dropped from the middle of the log.
            Lost: It was lost to damage.
            NotFound, Corruption, IncompatibleFormat, ReadFailed: As `chunks`.
        """
        segment = self._segment_at(lsn, first=True)
        size = LOAD_SIZE
        while True:
            with reading(segment.name):
                data = self._directory.read(segment.fd, size, segment.header.offset_of(lsn))
            records, _, verdict = scan(
                data, lsn, segment.header.salt, limit_lsn, names, kinds=EVERY_KIND, max_records=1
            )
            if records or verdict != SHORT or len(data) < size:
                break
            size *= 4
        if records and records[0].lsn == lsn and 1 << records[0].kind & kinds:
            return records[0]
        self._refresh()
        if self._base_at(lsn, first=True) != segment.header.base_lsn:
            return self.load(lsn, limit_lsn, names, kinds=kinds)  # a newer segment has it
        if records or verdict == END:
            raise not_here(self._directory, lsn, InvalidLSN)
        if self._behind(segment, lsn, verdict) is not None:
            raise not_here(self._directory, lsn, Compacted)
        raise self._trouble(segment, lsn, verdict, limit_lsn, True)

    def _scan(
        self,
        segment: _OpenSegment,
        lsn: int,
        limit_lsn: int,
        names: list[str],
        kinds: int,
        copy: bool,
    ) -> tuple[list[Record], int, int]:
        header = segment.header
        offset = header.offset_of(lsn)
        size = self._chunk_size if copy else min(self._chunk_size, VIEWED_CHUNK)
        while True:
            wanted = min(size, limit_lsn - lsn)
            data = self._read(segment.fd, wanted, offset, copy)
            result = scan(data, lsn, header.salt, limit_lsn, names, kinds=kinds, copy=copy)
            if result[1] != lsn or result[2] != SHORT or len(data) < wanted:
                return result
            size *= 2  # The frame is larger than what was read.

    def _read(self, fd: int, wanted: int, offset: int, copy: bool) -> bytes | memoryview:
        if not copy:
            return self._directory.read(fd, wanted, offset)
        if wanted > len(self._buffer):
            self._buffer = bytearray(wanted)
        view = memoryview(self._buffer)[:wanted]
        return view[: self._directory.read_into(fd, view, offset)]

    def _segment_at(self, lsn: int, *, first: bool) -> _OpenSegment:
        while True:
            base_lsn = self._base_at(lsn, first=first)
            if self._open is not None and base_lsn <= self._open.header.base_lsn <= lsn:
                # Also when its name is gone: what is open can be read to its end.
                return self._open
            try:
                opened = self._opened(segment_name(base_lsn))
            except NotFound:
                self._refresh()  # It was removed since the directory was listed.
            else:
                self.close()
                self._open = opened
                return opened

    def _opened(self, name: str) -> _OpenSegment:
        with reading(name):
            fd = self._directory.open_read(name)
        try:
            return _OpenSegment(fd, header_from(self._directory, fd, name, uuid=self._uuid))
        except BaseException:
            self._directory.close_file(fd)
            raise

    def _base_at(self, lsn: int, *, first: bool) -> int:
        if not self._bases or lsn < self._bases[0]:
            self._refresh()
        index = bisect_right(self._bases, lsn) - 1
        if index >= 0:
            return self._bases[index]
        if not first and self._open is not None and self._open.header.base_lsn <= lsn:
            return self._open.header.base_lsn
        there = f"the first are at {self._bases[0]}" if self._bases else "there are none"
        raise NotFound(f"there are no records at LSN {lsn}; {there}", path=self._directory.path)

    def _refresh(self) -> None:
        with reading("the data directory"):
            self._bases = bases_of(self._directory.names())

    def _behind(self, segment: _OpenSegment, lsn: int, verdict: int) -> int | None:
        """Return where the next segment begins if this one ends at or below `lsn`."""
        if verdict == UNKNOWN_KIND:
            return None
        place = self._next_place(segment)
        if place is None:
            self._refresh()
            place = self._next_place(segment)
        end_lsn, base_lsn = place or (lsn + 1, lsn)
        return max(base_lsn, lsn) if end_lsn <= lsn else None

    def _next_place(self, segment: _OpenSegment) -> tuple[int, int] | None:
        """Return where a segment ends and where the next one begins, if the listing tells."""
        index = bisect_right(self._bases, segment.header.base_lsn)
        if index == len(self._bases):
            return None
        base_lsn = self._bases[index]
        try:
            following = read_header(self._directory, segment_name(base_lsn), uuid=self._uuid)
        except NotFound:
            return None
        if following.previous_digest == segment.header.crc:
            return following.previous_end_lsn, base_lsn
        # Compaction has removed what was between. It removes only what has a
        # later segment, so this one was sealed before.
        footer = footer_from(self._directory, segment.fd, segment.name)
        return None if footer is None else (footer.end_lsn, base_lsn)

    def _trouble(
        self, segment: _OpenSegment, lsn: int, verdict: int, limit_lsn: int, first: bool
    ) -> LogstoreError:
        return trouble(self._directory, segment.fd, segment.header, lsn, verdict, limit_lsn, first)
