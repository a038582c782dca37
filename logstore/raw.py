"""Frames of a running log as they lie: from segment files, and the newest from the ring."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from typing import Final

from logstore.disk_errors import reading
from logstore.errors import Corruption, InvalidLSN, NotFound
from logstore.files import Directory
from logstore.frames import Record, frame_at, scan
from logstore.lsn import MAXIMUM_LSN
from logstore.ring import groups
from logstore.ring._ring import LAYOUT
from logstore.ring.client import Client
from logstore.ring.layout import WATERMARKS, Level
from logstore.segments.loading import Loader
from logstore.segments.reader import SegmentReader
from logstore.segments.search import Finder

RING_CHUNK: Final = 1 << 20
RECENT: Final = 1 << 16
"""So few bytes up to the limit are read from the ring, if they are still there."""

_HEAD: Final = LAYOUT["head"]
_PUBLISHED: Final = LAYOUT["published"]
_WRITTEN: Final = LAYOUT["written"]
_START: Final = LAYOUT["start"]
_GROUP_COUNT: Final = LAYOUT["group_count"]
_DROPPED_BELOW: Final = LAYOUT["dropped_below"]


class RawReader:
    """Read one running log's frames, whatever they mean.

    Iterators it makes are independent; each is for one thread. Any thread may load.

    Attributes:
        finder: Finds records by seq and time. Threads may share it.
        loader: Loads single records from the files. Threads may share it.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._ring = client.ring
        with reading("the data directory"):
            self._directory = Directory.open(client.identity.directory, create=False)
        self._names: list[str] = []
        self._naming = threading.Lock()
        limit = partial(self._ring.load, _WRITTEN)
        self.finder = Finder(self._directory, client.identity.uuid, limit, self._ring.removed)
        self.loader = Loader(self.finder, self._ring.removed)

    @property
    def client(self) -> Client:
        """The attachment."""
        return self._client

    @property
    def directory(self) -> Directory:
        """The data directory."""
        return self._directory

    def close(self) -> None:
        """Close the directory; iterators end with an error at their next segment."""
        self.loader.close()
        self._directory.close()

    def limit(self, level: Level) -> int:
        """Return up to where frames are as durable as `level`."""
        return self._ring.load(WATERMARKS[level])

    def start(self) -> int:
        """Return the LSN of the oldest frame there may be."""
        return self._ring.load(LAYOUT["start"])

    def names(self) -> list[str]:
        """Return the group names by id; a list that grows."""
        if len(self._names) != self._ring.load(_GROUP_COUNT):
            with self._naming:
                for number in range(len(self._names), groups.count(self._ring)):
                    self._names.append(groups.name_of(self._ring, number))
        return self._names

    def chunks(
        self, position: int, limit: int, kinds: int, *, copy: bool = True
    ) -> Iterator[list[Record]]:
        """Iterate over lists of frames in [position, limit); both are frame boundaries."""
        if limit - position <= RECENT:
            recent, position = self._recent(position, limit, kinds)
            if recent:
                yield recent
        if position < limit:
            yield from self._pinned_chunks(position, limit, kinds, copy=copy)

    def _recent(self, position: int, limit: int, kinds: int) -> tuple[list[Record], int]:
        """Copy frames out of the ring, be they in files or not, so that no file is opened."""
        overwritten = self._ring.load(_HEAD) > position + self._ring.capacity
        if overwritten or position < self._ring.load(_DROPPED_BELOW):
            return [], position
        position = max(position, self._ring.load(_START))
        self.names()
        return self._copied(position, limit, limit - position, kinds)

    def _pinned_chunks(
        self, position: int, limit: int, kinds: int, *, copy: bool
    ) -> Iterator[list[Record]]:
        reader: SegmentReader | None = None
        key = object()
        try:
            while position < limit:
                self._client.pin(key, position)
                # Compaction may have looked at the pins before it was there.
                position = max(position, self._ring.load(LAYOUT["start"]))
                if position >= limit:
                    return  # all of it is gone
                on_file = min(limit, self._ring.load(LAYOUT["written"]))
                # Order: the limit before the names: a group's name is there before its records.
                names = self.names()
                if position < on_file:
                    reader = reader or self._segment_reader()
                    try:
                        for chunk in reader.chunks(
                            position, partial(int, on_file), names, kinds=kinds, copy=copy
                        ):
                            yield chunk
                            position = reader.next_lsn
                            self._client.pin(key, position)
                    except NotFound:
                        # Order: a dropped segment lies below the start before it is removed.
                        if self._ring.load(LAYOUT["start"]) <= position:
                            raise
                        continue
                    position = on_file
                else:
                    records, position = self._from_ring(position, limit, kinds)
                    yield records
        finally:
            self._client.pin(key, None)
            if reader is not None:
                reader.close()

    def chunks_back(
        self, limit: int, floor: int, kinds: int, *, copy: bool = True
    ) -> Iterator[list[Record]]:
        """Iterate over lists of frames in [floor, limit), the newest first; from files alone."""
        if limit <= floor:
            return
        self._client.await_level(Level.WRITTEN, limit - 8)
        reader = self._segment_reader()
        key = object()
        self._client.pin(key, floor)
        try:
            yield from reader.chunks_back(limit, floor, self.names(), kinds=kinds, copy=copy)
        except NotFound:
            # As above: what had been judged before the pin was there is gone, and all before it.
            if self._ring.load(LAYOUT["start"]) <= floor:
                raise
        finally:
            self._client.pin(key, None)
            reader.close()

    def _segment_reader(self) -> SegmentReader:
        return SegmentReader(self._directory, self._client.identity.uuid)

    def _from_ring(self, lsn: int, limit: int, kinds: int) -> tuple[list[Record], int]:
        """Copy frames out of the ring; nothing if writers have overwritten them meanwhile."""
        length = min(limit - lsn, RING_CHUNK)
        while True:
            records, next_lsn = self._copied(lsn, limit, length, kinds)
            if next_lsn > lsn or self._ring.load(_HEAD) > lsn + self._ring.capacity:
                return records, next_lsn
            if length == limit - lsn:
                raise Corruption("a frame in the ring is damaged", lsn=lsn)
            length = limit - lsn  # one record is larger than a chunk

    def _copied(self, lsn: int, limit: int, length: int, kinds: int) -> tuple[list[Record], int]:
        """Return what is whole in so many bytes of the ring, and where that ends."""
        ring = self._ring
        start = lsn & (ring.capacity - 1)
        with memoryview(ring) as view:
            copy = bytes(view[start : start + length])
        # Order: the copy before `head`.  Writers overwrite [lsn, ...) only once head has
        # passed lsn + capacity; before that the copy is what was published.
        if ring.load(_HEAD) > lsn + ring.capacity:
            return [], lsn
        salt = self._client.identity.salt
        records, next_lsn, _ = scan(copy, lsn, salt, limit, self._names, kinds=kinds)
        return records, next_lsn

    def quick(self, lsn: int) -> Record | None:
        """Return the data record at an LSN if nothing is out of the ordinary; None proves nothing.

        It comes from a segment that is open already, and from memory. `lsn` may be anything.
        """
        loader = self.loader
        limit = self._ring.readable(lsn, loader.seen_removed)
        return loader.files.load(lsn, limit, self._names) if limit else None

    def quick_seq(self, group: int, seq: int) -> Record | None:
        """Return the data record with a seq of a group, as `quick` does."""
        loader = self.loader
        if self._ring.readable(MAXIMUM_LSN, loader.seen_removed):
            return loader.files.load_seq(group, seq, self._names)
        return None

    def load(self, lsn: int, kinds: int) -> Record:
        """Return the frame at `lsn` if it is of one of the kinds.

        Raises:
            NotFound: It is older than the oldest frame.
            InvalidLSN: No such frame begins there.
        """
        ring = self._ring
        if lsn < ring.load(_START):
            raise NotFound("older than the oldest record", lsn=lsn)
        head = ring.load(_HEAD)
        if head > lsn + ring.capacity:
            written = ring.load(_WRITTEN)
            # Order: the limit before the names, as in `chunks`.
            known = len(self._names) == ring.load(_GROUP_COUNT)
            names = self._names if known else self.names()
            return self.loader.load(lsn, written, names, kinds=kinds)
        if lsn >= ring.load(_PUBLISHED):
            # Published by its writer, perhaps, and not yet seen by the committer.
            if lsn >= head:
                raise InvalidLSN("nothing is appended there yet", lsn=lsn)
            self._client.await_level(Level.RING, lsn)
        if lsn < ring.load(_DROPPED_BELOW):
            # What was dropped from the files may still lie in the ring.
            return self._load_from_file(lsn, kinds)
        return self.published_frame(lsn, kinds)

    def published_frame(self, lsn: int, kinds: int) -> Record:
        """Return a frame that is known to be published, though others before it may not be."""
        return self._load_from_ring(lsn, kinds) or self._load_from_file(lsn, kinds)

    def _load_from_ring(self, lsn: int, kinds: int) -> Record | None:
        ring = self._ring
        head = ring.load(_HEAD)
        if head > lsn + ring.capacity:
            return None
        offset = lsn & (ring.capacity - 1)
        found = frame_at(ring, offset, lsn, self._client.identity.salt, head, self.names())
        # Order: the copy before `head`, as in `_from_ring`.
        if ring.load(_HEAD) > lsn + ring.capacity:
            return None
        return found if isinstance(found, Record) and 1 << found.kind & kinds else None

    def _load_from_file(self, lsn: int, kinds: int) -> Record:
        written = self._ring.load(_WRITTEN)
        if lsn >= written:
            self._client.await_level(Level.WRITTEN, lsn)
            written = self._ring.load(_WRITTEN)
        return self.loader.load(lsn, written, self.names(), kinds=kinds)
