"""The log as a program uses it: open or attach, append, wait, read."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from logstore import status
from logstore.errors import InvalidArgument, InvalidLSN
from logstore.frames import Record
from logstore.handle import Handle
from logstore.lsn import Durability, Watermarks, require_durability, require_lsn
from logstore.reading import LogReader
from logstore.reservation import Reservation
from logstore.ring._ring import LAYOUT
from logstore.ring.client import require_timeout
from logstore.ring.layout import WATERMARKS, Level

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from logstore.aio import AsyncLog

_LEVELS: dict[str, Level] = {
    "ring": Level.RING,
    "written": Level.WRITTEN,
    "synced": Level.SYNCED,
}


class Log(Handle):
    """One process's handle on a running log.

    Threads may share it. A forked child may go on using it: its first call attaches anew. A
    pickled handle attaches by name where it is unpickled. Made by `open` and `attach`.

    Attributes:
        name: The log's name.
        path: Its data directory.
        read_only: Whether appending is refused.
    """

    # Writing.

    def append(
        self,
        payload: ReadableBuffer,
        *,
        durability: Durability = "ring",
        timeout: float | None = None,
    ) -> int:
        """Append one record and return its LSN.

        On return the record survives the death of any process, and with `durability` "written" or
        "synced" is in the page cache or on disk. Blocks while the ring is full, and for the
        durability asked for. Any thread of any process may call it at any time.

        Args:
            payload: Any contiguous buffer, empty too; its bytes are copied before return.
            durability: "ring", "written" or "synced".
            timeout: Seconds for all of it; None waits for ever.

        Raises:
            RingFull: No room until the time-out; nothing was appended.
            RecordTooLarge: Larger than a quarter of the ring; nothing was appended.
            Timeout: Appended, but not as durable as asked for by then: `wait` for it again.
            DiskFull: The disk is full and so is the ring; nothing was appended.
            SyncFailed: The disk failed; what is on it is known only after recovery.
            NotRunning, Closed, ReadOnly: The log takes no appends from here.
            TypeError: `payload` is no buffer.
        """
        if durability == "ring" and timeout is None:
            return self._ring.append(payload)
        return self._append_durably(payload, durability, timeout)

    def _append_durably(
        self, payload: ReadableBuffer, durability: Durability, timeout: float | None
    ) -> int:
        require_durability(durability)
        left = _Countdown(timeout)
        lsn = self._ring.append(payload, left())
        if durability != "ring":
            self._ring.wait(_LEVELS[durability], lsn, left())
        return lsn

    def append_many(
        self,
        payloads: Iterable[ReadableBuffer],
        *,
        durability: Durability = "ring",
        timeout: float | None = None,
    ) -> list[int]:
        """Append records as one batch, all or nothing even after a crash; return their LSNs.

        The records are neighbours in the log. Otherwise as `append`, and faster per record; the
        batch with its headers must fit into a quarter of the ring.
        """
        require_durability(durability)
        if isinstance(payloads, (bytes, bytearray, memoryview, str)):
            raise InvalidArgument("append_many takes several payloads; use append for one")
        batch = payloads if isinstance(payloads, (list, tuple)) else list(payloads)
        left = _Countdown(timeout)
        lsns = self._ring.append_many(batch, left())
        if lsns and durability != "ring":
            self._ring.wait(_LEVELS[durability], lsns[-1], left())
        return lsns

    def reserve(self, size: int, *, timeout: float | None = None) -> Reservation:
        """Reserve room for one record of exactly `size` bytes, to be filled in place.

        Use it as a context manager; see `Reservation`. Blocks while the ring is full.

        Raises:
            RingFull, RecordTooLarge, DiskFull, SyncFailed, NotRunning, Closed: As `append`.
        """
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            raise InvalidArgument(f"size must be a number of bytes from 0 on, not {size!r}")
        if size > self._ring.largest_payload:
            size = self._ring.capacity  # the ring words the error
        return Reservation(self._ring.reserve(size, require_timeout(timeout)))

    def wait(
        self, lsn: int, durability: Durability = "synced", timeout: float | None = None
    ) -> None:
        """Block until the record at `lsn`, and every one before it, is as durable as asked for.

        Raises:
            Timeout: Not yet; waiting again is right.
            InvalidLSN: No record can be there, or none was appended there yet.
            DiskFull: It cannot get there until there is room; it is safe in shared memory.
            SyncFailed, NotRunning, Closed: It will not get there in this run of the service.
        """
        require_durability(durability)
        self._require_appended(lsn)
        self._ring.wait(_LEVELS[durability], lsn, require_timeout(timeout))

    def sync(self, timeout: float | None = None) -> int:
        """Block until everything appended so far, by anybody, is durable; return up to which LSN.

        Raises:
            Timeout, DiskFull, SyncFailed, NotRunning, Closed: As `wait`.
        """
        head = self._ring.load(LAYOUT["head"])
        self._ring.wait(Level.SYNCED, head - 8, require_timeout(timeout))
        return head

    def _require_appended(self, lsn: int) -> None:
        if require_lsn(lsn) >= self._ring.load(LAYOUT["head"]):
            raise InvalidLSN("nothing is appended there yet", lsn=lsn)

    def _watermark(self, level: Level) -> int:
        return self._ring.load(WATERMARKS[level])

    # Reading.

    @property
    def _reading(self) -> LogReader:
        self._require_open()
        if self._reader is None:
            self._reader = LogReader(self._client)
        return self._reader

    def read(
        self, start: int | None = None, end: int | None = None, *, durability: Durability = "synced"
    ) -> Iterator[Record]:
        """Return the records from `start` up to `end`, oldest first.

        Ends where the log ended, at the given durability, when this was called. Memory does not
        grow with the log. Each call makes an iterator of its own, for one thread.

        Args:
            start: LSN of a record; None is the oldest record there is.
            end: Records at and after this LSN are left out; None is the end.
            durability: Read only what is at least as durable.

        Raises:
            InvalidLSN: `start` is not a record's LSN.
            NotFound: `start` is below the oldest record.
            Corruption: While iterating: stored bytes are damaged; says where.
        """
        level = _LEVELS[require_durability(durability)]
        first = None if start is None else require_lsn(start, name="start")
        last = None if end is None else require_lsn(end, name="end")
        return self._reading.read(first, last, level)

    def load(self, lsn: int) -> Record:
        """Return the record at `lsn`, published or more durable.

        Raises:
            InvalidLSN: No record begins there, or none was appended there yet.
            NotFound: It is older than the oldest record.
            Corruption: Its bytes are damaged.
        """
        return self._reading.load(require_lsn(lsn))

    def follow(
        self,
        start: int | None = None,
        *,
        durability: Durability = "synced",
        timeout: float | None = None,
    ) -> Iterator[Record]:
        """Return records as they come, for ever; blocks between them.

        Args:
            start: LSN of a record; None begins with the next record appended.
            durability: Deliver a record once it is this durable.
            timeout: End after so many seconds without a record; None never ends.

        Raises:
            InvalidLSN, NotFound, Corruption: As `read`.
            SyncFailed, NotRunning, Closed: The log does not go on.
        """
        level = _LEVELS[require_durability(durability)]
        first = None if start is None else require_lsn(start, name="start")
        return self._reading.follow(first, level, require_timeout(timeout))

    # Looking at it.

    def watermarks(self) -> Watermarks:
        """Return how far the log is; never blocks."""
        self._require_open()
        return status.watermarks(self._ring)

    def status(self) -> status.Status:
        """Return everything there is to know about the running log; blocks nobody."""
        self._require_open()
        return status.sample(self._client)

    @property
    def aio(self) -> AsyncLog:
        """The same appends and waits for asyncio."""
        # Imported here: asyncio would make every program that does not use it start slower.
        from logstore.aio import AsyncLog

        self._require_open()
        if self._aio is None:
            self._aio = AsyncLog(self)
        return self._aio


class _Countdown:
    """Tell how much of a time-out is left."""

    def __init__(self, timeout: float | None) -> None:
        timeout = require_timeout(timeout)
        self._end = None if timeout is None else time.monotonic() + timeout

    def __call__(self) -> float | None:
        return None if self._end is None else max(0.0, self._end - time.monotonic())
