"""Reading a running log: from segment files as far as they go, then from the ring."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Final

from logstore.errors import Corruption, InvalidLSN, NotFound, Timeout
from logstore.files import Directory
from logstore.frames import DATA, END, Record, scan
from logstore.ring._ring import LAYOUT
from logstore.ring.client import Client
from logstore.ring.layout import WATERMARKS, Level
from logstore.segments.reader import SegmentReader

RING_CHUNK: Final = 1 << 20
RECORDS: Final = 1 << DATA


class LogReader:
    """Read one running log. Iterators it makes are independent; each is for one thread."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._ring = client.ring
        self._directory = Directory.open(client.identity.directory, create=False)
        self._names = ["default"]
        self._loader: SegmentReader | None = None

    def close(self) -> None:
        """Close the directory; iterators end with an error at their next segment."""
        if self._loader is not None:
            self._loader.close()
        self._directory.close()

    def limit(self, level: Level) -> int:
        """Return up to where records are as durable as `level`."""
        return self._ring.load(WATERMARKS[level])

    def read(self, start: int | None, end: int | None, level: Level) -> Iterator[Record]:
        """Iterate over the records in [start, end) as far as `level` goes now."""
        limit = self.limit(level)
        oldest = self._ring.load(LAYOUT["start"])
        if start is not None and start < oldest:
            raise NotFound(f"the oldest record is at LSN {oldest}", lsn=start)
        if start is not None and start > self._ring.load(LAYOUT["head"]):
            raise InvalidLSN("nothing is appended there yet", lsn=start)
        return self._records(oldest if start is None else start, limit, end)

    def _records(self, start: int, limit: int, end: int | None) -> Iterator[Record]:
        for chunk in self._chunks(start, limit):
            if end is not None and chunk and chunk[-1].lsn >= end:
                yield from (record for record in chunk if record.lsn < end)
                return
            yield from chunk

    def follow(self, start: int | None, level: Level, timeout_s: float | None) -> Iterator[Record]:
        """Iterate over the records from `start` on as they reach `level`."""
        position = self._ring.load(LAYOUT["head"]) if start is None else start
        if position < self._ring.load(LAYOUT["start"]):
            raise NotFound("older than the oldest record", lsn=start)
        return self._follow(position, level, timeout_s)

    def _follow(self, position: int, level: Level, timeout_s: float | None) -> Iterator[Record]:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            rest = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                self._ring.wait(level, position, rest)
            except Timeout:
                return
            limit = self.limit(level)
            for chunk in self._chunks(position, limit):
                yield from chunk
                if chunk and timeout_s is not None:
                    deadline = time.monotonic() + timeout_s
            position = limit

    def _chunks(self, position: int, limit: int) -> Iterator[list[Record]]:
        """Iterate over lists of records in [position, limit); both are frame boundaries."""
        reader: SegmentReader | None = None
        try:
            while position < limit:
                on_file = min(limit, self._ring.load(LAYOUT["written"]))
                if position < on_file:
                    reader = reader or self._segment_reader()
                    yield from reader.chunks(
                        position, partial(int, on_file), self._names, kinds=RECORDS, copy=True
                    )
                    position = on_file
                else:
                    records, position = self._from_ring(position, limit)
                    yield records
        finally:
            if reader is not None:
                reader.close()

    def _segment_reader(self) -> SegmentReader:
        return SegmentReader(self._directory, self._client.identity.uuid)

    def _from_ring(self, lsn: int, limit: int) -> tuple[list[Record], int]:
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
            records, next_lsn, _ = scan(copy, lsn, salt, limit, self._names, kinds=RECORDS)
            if next_lsn > lsn:
                return records, next_lsn
            if length == limit - lsn:
                raise Corruption("a frame in the ring is damaged", lsn=lsn)
            length = limit - lsn  # one record is larger than a chunk

    def load(self, lsn: int) -> Record:
        """Return the record at `lsn`."""
        if lsn < self._ring.load(LAYOUT["start"]):
            raise NotFound("older than the oldest record", lsn=lsn)
        if lsn >= self._ring.load(LAYOUT["published"]):
            # Published by its writer, perhaps, and not yet seen by the committer.
            if lsn >= self._ring.load(LAYOUT["head"]):
                raise InvalidLSN("nothing is appended there yet", lsn=lsn)
            self._ring.wait(Level.RING, lsn, None)
        return self._load_from_ring(lsn) or self._load_from_file(lsn)

    def _load_from_ring(self, lsn: int) -> Record | None:
        ring = self._ring
        if ring.load(LAYOUT["head"]) > lsn + ring.capacity:
            return None
        start = lsn & (ring.capacity - 1)
        limit = ring.load(LAYOUT["published"])
        with memoryview(ring) as view:
            salt = self._client.identity.salt
            most = min(limit - lsn, ring.capacity)
            found = scan(
                view[start : start + most],
                lsn,
                salt,
                limit,
                self._names,
                kinds=RECORDS,
                max_records=1,
            )
        if ring.load(LAYOUT["head"]) > lsn + ring.capacity:
            return None
        records, _, verdict = found
        if verdict == END and records and records[0].lsn == lsn:
            return records[0]
        return None

    def _load_from_file(self, lsn: int) -> Record:
        if self._loader is None:
            self._loader = self._segment_reader()
        self._ring.wait(Level.WRITTEN, lsn, None)
        written = self._ring.load(LAYOUT["written"])
        return self._loader.load(lsn, written, self._names, kinds=RECORDS)
