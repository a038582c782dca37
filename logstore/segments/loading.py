"""Loading single records by LSN or by seq, from a few segments that stay open.

Here is only the short way to a record that is there. Whatever looks odd on it is left to the
SegmentReader and the Finder, which go the long way and know how to tell what is the matter.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable
from typing import Final, NamedTuple

from logstore.format import span
from logstore.frames import SHORT, OpenFiles, Record, find, frame_at
from logstore.segments.footer import GroupRange
from logstore.segments.index import SegmentIndex
from logstore.segments.reader import SegmentReader
from logstore.segments.search import Finder
from logstore.segments.segment import header_from, segment_name
from logstore.segments.survey import LARGEST_FRAME

KEPT_OPEN: Final = 32
"""Segments that stay open at most."""
SMALL_LOAD: Final = 256
LARGE_LOAD: Final = 4096
"""Bytes read at once for a record whose place is known: at first, and once larger ones were met."""
WALK_SIZE: Final = 64 * 1024
"""Bytes read at most for a piece of the way to a record."""


class _Opened(NamedTuple):
    """An open segment: its descriptor, its salt, and the LSN of the file's first byte.

    Its number is its place in `files`.
    """

    number: int
    fd: int
    salt: int
    origin_lsn: int


class Loader:
    """Load records of one log. Threads may share it.

    Keeps up to 32 segments open until any is removed, or until `close`.

    Args:
        finder: Knows the segments.
        removed: Gives another number once a segment has been removed: what is open could be read
            although it is gone.

    Attributes:
        files: The open segments once more: what is plain, and in memory, is loaded from there by
            one call in C. Empty if the directory is not the disk's own.
        seen_removed: What `removed` gave when the segments were listed last.
    """

    def __init__(self, finder: Finder, removed: Callable[[], int]) -> None:
        self._finder = finder
        self._segments = finder.segments
        self._read = finder.segments.directory.read
        self._reader = SegmentReader(finder.segments.directory, finder.segments.uuid)
        self._lock = threading.Lock()
        self._removed = removed
        self.files = OpenFiles()
        self.seen_removed = -1
        self._bases: list[int] = []
        self._open: dict[int, _Opened] = {}
        self._size = SMALL_LOAD

    def close(self) -> None:
        """Close all files; loading again opens them again."""
        with self._lock:
            self._forget()

    def load(self, lsn: int, limit_lsn: int, names: list[str], *, kinds: int) -> Record:
        """Return the one record at `lsn`; as `SegmentReader.load`, with its errors."""
        with self._lock:
            if self._removed() != self.seen_removed:
                self._renew()
            found = self._load(lsn, limit_lsn, names)
            if found is None and lsn >= self._bases[-1]:
                self._list()  # It may be in a segment that was begun since.
                found = self._load(lsn, limit_lsn, names)
            if found is not None and 1 << found.kind & kinds:
                return found
            return self._reader.load(lsn, limit_lsn, names, kinds=kinds)

    def load_seq(self, group: int, seq: int, names: list[str]) -> Record:
        """Return the record with a seq of a group; as `Finder.load_seq`, with its errors."""
        return self.known_seq(group, seq, names) or self._finder.load_seq(group, seq, names)

    def known_seq(self, group: int, seq: int, names: list[str]) -> Record | None:
        """Return the record with a seq of a group if it lies in what was read before.

        None proves nothing.
        """
        with self._lock:
            if self._removed() != self.seen_removed:
                self._renew()
            with self._finder.lock:
                known = self._segments.with_seq(group, seq)
            if known is None:
                return None
            index, here = known
            bracket = here.points.bracket(seq, index.end_lsn)
            opened = self._open.get(index.base_lsn) or self._opened(index.base_lsn)
            if bracket is None or opened is None:
                return None
            self._tell(opened, index, here)
            return self._walk(opened, *bracket, names, group, seq)

    def _tell(self, opened: _Opened, index: SegmentIndex, here: GroupRange) -> None:
        """Let the next load of a record near this one go the short way."""
        if self._segments.directory.direct:
            self.files.know(
                opened.number,
                here.id,
                here.first_seq,
                here.last_seq,
                index.end_lsn,
                here.points.seqs,
                here.points.lsns,
            )

    def _renew(self) -> None:
        """Begin anew with a list of the segments that there are now."""
        # Order: asked before the listing; what is removed after this is a reason to list again.
        removed = self._removed()
        self._list()
        self._forget()
        self.seen_removed = removed

    def _list(self) -> None:
        with self._finder.lock:
            self._segments.refresh()
            self._bases = self._segments.bases or [0]

    def _forget(self) -> None:
        self._reader.close()
        self._reader = SegmentReader(self._segments.directory, self._segments.uuid)
        for base_lsn in list(self._open):
            self._close(base_lsn)

    def _close(self, base_lsn: int) -> int:
        """Close an open segment; return its number."""
        opened = self._open.pop(base_lsn)
        # Order: dropped before it is closed, and the descriptor is another file's.
        self.files.drop(opened.number)
        self._segments.directory.close_file(opened.fd)
        return opened.number

    def _opened(self, base_lsn: int) -> _Opened | None:
        """Open a segment; return None if it is gone."""
        directory, name = self._segments.directory, segment_name(base_lsn)
        try:
            fd = directory.open_read(name)
        except OSError:
            return None  # The long way says why.
        try:
            header = header_from(directory, fd, name, uuid=self._segments.uuid)
        except BaseException:
            directory.close_file(fd)
            raise
        full = len(self._open) >= KEPT_OPEN
        number = self._close(next(iter(self._open))) if full else len(self._open)
        opened = _Opened(number, fd, header.salt, base_lsn - header.offset_of(base_lsn))
        self._open[base_lsn] = opened
        if directory.direct:
            self.files.put(number, fd, base_lsn, opened.origin_lsn, header.salt)
        return opened

    def _load(self, lsn: int, limit_lsn: int, names: list[str]) -> Record | None:
        base_lsn = self._bases[bisect_right(self._bases, lsn) - 1]  # the last if it is below all
        opened = self._open.get(base_lsn) or self._opened(base_lsn)
        if opened is None or lsn < base_lsn:
            return None
        _, fd, salt, origin_lsn = opened
        try:
            data = self._read(fd, self._size, lsn - origin_lsn)
            found = frame_at(data, 0, lsn, salt, limit_lsn, names)
            if found == SHORT and len(data) == self._size:
                size = span(int.from_bytes(data[:4], "little"))
                self._size = max(self._size, min(size, LARGE_LOAD))
                data = self._read(fd, min(size, LARGEST_FRAME), lsn - origin_lsn)
                found = frame_at(data, 0, lsn, salt, limit_lsn, names)
        except OSError:
            return None
        return None if isinstance(found, int) else found

    def _walk(
        self, opened: _Opened, lsn: int, stop_lsn: int, names: list[str], group: int, seq: int
    ) -> Record | None:
        size = WALK_SIZE
        try:
            while lsn < stop_lsn:
                wanted = min(size, stop_lsn - lsn)
                data = self._read(opened.fd, wanted, lsn - opened.origin_lsn)
                found = find(data, 0, lsn, opened.salt, stop_lsn, names, group, seq)
                if isinstance(found, Record):
                    return found
                next_lsn, verdict = found
                if verdict != SHORT or len(data) < wanted:
                    return None
                size = WALK_SIZE if next_lsn > lsn else 2 * size
                lsn = next_lsn
        except OSError:
            return None
        return None
