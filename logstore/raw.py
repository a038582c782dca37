"""Frames of a running log as they lie: from segment files as far as they go, then from the ring."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from typing import Final

from logstore.disk_errors import reading
from logstore.errors import Corruption, InvalidLSN, NotFound
from logstore.files import Directory
from logstore.frames import END, Record, scan
from logstore.ring import groups
from logstore.ring._ring import LAYOUT
from logstore.ring.client import Client
from logstore.ring.layout import WATERMARKS, Level
from logstore.segments.reader import SegmentReader

RING_CHUNK: Final = 1 << 20


class RawReader:
    """Read one running log's frames, whatever they mean.

    Iterators it makes are independent; each is for one thread. Any thread may load.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._ring = client.ring
        with reading("the data directory"):
            self._directory = Directory.open(client.identity.directory, create=False)
        self._names: list[str] = []
        self._loader: SegmentReader | None = None
        self._loading = threading.Lock()

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
        if self._loader is not None:
            self._loader.close()
        self._directory.close()

    def limit(self, level: Level) -> int:
        """Return up to where frames are as durable as `level`."""
        return self._ring.load(WATERMARKS[level])

    def start(self) -> int:
        """Return the LSN of the oldest frame there may be."""
        return self._ring.load(LAYOUT["start"])

    def names(self) -> list[str]:
        """Return the group names by id; a list that grows."""
        for number in range(len(self._names), groups.count(self._ring)):
            self._names.append(groups.name_of(self._ring, number))
        return self._names

    def chunks(
        self, position: int, limit: int, kinds: int, *, copy: bool = True
    ) -> Iterator[list[Record]]:
        """Iterate over lists of frames in [position, limit); both are frame boundaries."""
        reader: SegmentReader | None = None
        key = object()
        try:
            while position < limit:
                self._client.pin(key, position)
                on_file = min(limit, self._ring.load(LAYOUT["written"]))
                # Order: the limit before the names: a group's name is there before its records.
                names = self.names()
                if position < on_file:
                    reader = reader or self._segment_reader()
                    for chunk in reader.chunks(
                        position, partial(int, on_file), names, kinds=kinds, copy=copy
                    ):
                        yield chunk
                        self._client.pin(key, reader.next_lsn)
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
        finally:
            self._client.pin(key, None)
            reader.close()

    def _segment_reader(self) -> SegmentReader:
        return SegmentReader(self._directory, self._client.identity.uuid)

    def _from_ring(self, lsn: int, limit: int, kinds: int) -> tuple[list[Record], int]:
        """Copy frames out of the ring; nothing if writers have overwritten them meanwhile."""
        ring = self._ring
        length = min(limit - lsn, RING_CHUNK)
        while True:
            start = lsn & (ring.capacity - 1)
            with memoryview(ring) as view:
                copy = bytes(view[start : start + length])
            # Order: the copy before `head`.  Writers overwrite [lsn, ...) only once head has
            # passed lsn + capacity; before that the copy is what was published.
            if ring.load(LAYOUT["head"]) > lsn + ring.capacity:
                return [], lsn
            salt = self._client.identity.salt
            records, next_lsn, _ = scan(copy, lsn, salt, limit, self._names, kinds=kinds)
            if next_lsn > lsn:
                return records, next_lsn
            if length == limit - lsn:
                raise Corruption("a frame in the ring is damaged", lsn=lsn)
            length = limit - lsn  # one record is larger than a chunk

    def load(self, lsn: int, kinds: int) -> Record:
        """Return the frame at `lsn` if it is of one of the kinds.

        Raises:
            NotFound: It is older than the oldest frame.
            InvalidLSN: No such frame begins there.
        """
        if lsn < self._ring.load(LAYOUT["start"]):
            raise NotFound("older than the oldest record", lsn=lsn)
        if lsn >= self._ring.load(LAYOUT["published"]):
            # Published by its writer, perhaps, and not yet seen by the committer.
            if lsn >= self._ring.load(LAYOUT["head"]):
                raise InvalidLSN("nothing is appended there yet", lsn=lsn)
            self._client.await_level(Level.RING, lsn)
        return self.published_frame(lsn, kinds)

    def published_frame(self, lsn: int, kinds: int) -> Record:
        """Return a frame that is known to be published, though others before it may not be."""
        return self._load_from_ring(lsn, kinds) or self._load_from_file(lsn, kinds)

    def _load_from_ring(self, lsn: int, kinds: int) -> Record | None:
        ring = self._ring
        if ring.load(LAYOUT["head"]) > lsn + ring.capacity:
            return None
        start = lsn & (ring.capacity - 1)
        limit = ring.load(LAYOUT["head"])
        end = start + min(limit - lsn, ring.capacity)
        salt, names = self._client.identity.salt, self.names()
        with memoryview(ring) as view:
            found = scan(view[start:end], lsn, salt, limit, names, kinds=kinds, max_records=1)
        if ring.load(LAYOUT["head"]) > lsn + ring.capacity:
            return None
        records, _, verdict = found
        if verdict == END and records and records[0].lsn == lsn:
            return records[0]
        return None

    def _load_from_file(self, lsn: int, kinds: int) -> Record:
        self._client.await_level(Level.WRITTEN, lsn)
        with self._loading:
            self._loader = self._loader or self._segment_reader()
            written = self._ring.load(LAYOUT["written"])
            return self._loader.load(lsn, written, self.names(), kinds=kinds)
