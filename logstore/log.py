"""The log as a program uses it: open or attach, append, wait, read."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

from logstore import service, status
from logstore.errors import Closed, InvalidArgument, InvalidLSN, ReadOnly
from logstore.frames import Record
from logstore.lsn import Durability, Watermarks, require_durability, require_lsn
from logstore.options import Options
from logstore.reading import LogReader
from logstore.reservation import Reservation
from logstore.ring._ring import LAYOUT, Ring
from logstore.ring.client import Client, require_timeout
from logstore.ring.layout import WATERMARKS, Level

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from logstore.aio import AsyncLog

_LEVELS: dict[str, Level] = {
    "ring": Level.RING,
    "written": Level.WRITTEN,
    "synced": Level.SYNCED,
}
_logs: weakref.WeakSet[Log] = weakref.WeakSet()


class _AttachOnUse:
    """Stand in for the ring in a forked child: the first use attaches the child anew."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def __getattr__(self, name: str) -> object:
        attribute: object = getattr(self._log._attach_again(), name)
        return attribute


class Log:
    """One process's handle on a running log.

    Threads may share it. A forked child may go on using it: its first call attaches anew. A
    pickled handle attaches by name where it is unpickled. Made by `open` and `attach`.

    Attributes:
        name: The log's name.
        path: Its data directory.
        read_only: Whether appending is refused.
    """

    def __init__(self, client: Client) -> None:
        self.name = client.identity.name
        self.path = client.identity.directory
        self.read_only = client.read_only
        self._client_now: Client | None = client
        self._ring: Ring = client.ring
        self._reader: LogReader | None = None
        self._aio: AsyncLog | None = None
        self._closed = False
        _logs.add(self)

    # Attachment.

    @property
    def _client(self) -> Client:
        if self._client_now is None:
            self._attach_again()
        return cast(Client, self._client_now)

    def _attach_again(self) -> Ring:
        if self._closed:
            raise Closed("this log object is closed; open or attach again")
        client = service.attach_name(self.name, read_only=self.read_only, path=self.path)
        self._client_now, self._ring = client, client.ring
        return client.ring

    def _after_fork(self) -> None:
        """Forget the parent's client: its lock must tell of the parent alone."""
        if self._client_now is not None:
            self._client_now.forsake()
        self._client_now = None
        self._reader = self._aio = None
        self._ring = cast(Ring, _AttachOnUse(self))

    def close(self) -> None:
        """Detach; idempotent.

        Makes nothing durable: what is in the ring stays there and reaches the disk by itself. A
        call that blocks in another thread ends with `Closed`.
        """
        if not self._closed:
            self._closed = True
            _logs.discard(self)
            if self._aio is not None:
                self._aio.shut_down()
            if self._client_now is not None:
                self._client_now.close()
            if self._reader is not None:
                self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self.close()

    def __repr__(self) -> str:
        closed = ", closed" if self._closed else ""
        return f"<logstore.Log {self.name!r} at {str(self.path)!r}{closed}>"

    def __reduce__(self) -> tuple[object, ...]:
        return _attach_pickled, (self.name, str(self.path), self.read_only)

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
            timeout: Seconds; None waits for ever. It covers room and durability each.

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
        lsn = self._ring.append(payload, require_timeout(timeout))
        if durability != "ring":
            self._ring.wait(_LEVELS[durability], lsn, timeout)
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
        lsns = self._ring.append_many(batch, require_timeout(timeout))
        if lsns and durability != "ring":
            self._ring.wait(_LEVELS[durability], lsns[-1], timeout)
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
        if self._closed:
            raise Closed("this log object is closed; open or attach again")
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

    def _require_open(self) -> None:
        if self._closed:
            raise Closed("this log object is closed; open or attach again")

    @property
    def aio(self) -> AsyncLog:
        """The same appends and waits for asyncio."""
        from logstore.aio import AsyncLog

        self._require_open()
        if self._aio is None:
            self._aio = AsyncLog(self)
        return self._aio


class _ReadOnlyRing:
    """Stand in for the ring's writing calls in a read-only handle."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def __getattr__(self, name: str) -> object:
        if name in ("append", "append_many", "reserve"):
            raise ReadOnly("this log was attached for reading; attach without read_only to append")
        attribute: object = getattr(self._ring, name)
        return attribute


def _make(client: Client) -> Log:
    log = Log(client)
    if client.read_only:
        log._ring = cast(Ring, _ReadOnlyRing(client.ring))
    return log


def open(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    ring_size: int | str | None = None,
    segment_size: int | str | None = None,
    sync_interval_s: float | None = None,
    mode: int | None = None,
) -> Log:
    """Open the log in a directory: attach to its service, or start one, with the log if it is new.

    A service started here ends by itself a little after its last client. Settings matter only to
    the start of a service; see `Options` for what they mean and where else they can be given.

    Args:
        path: The data directory; made if missing. An existing one must be a log or empty.
        name: By which other processes attach; the directory's name if not given.
        ring_size: Bytes of shared memory, a power of two; sizes may be strings such as "32MiB".
        segment_size: Bytes after which a new segment file is begun.
        sync_interval_s: How long records wait for the disk when nobody waits for them.
        mode: Permissions, 0o600 or 0o660.

    Raises:
        InUse: Another log has the name, or this one runs under another name.
        InvalidArgument: A setting or the name is not allowed, or the directory is no log's.
        SharedMemoryFull: /dev/shm has no room for the ring.
        Corruption, IncompatibleFormat, ReadFailed: The files cannot be used; nothing was changed.
        PermissionDenied: The directory or the running service belongs to another user.
    """
    place = Path(path).absolute()
    flags = {
        "ring_size": ring_size,
        "segment_size": segment_size,
        "sync_interval_s": sync_interval_s,
        "mode": mode,
    }
    Options.load(place, **flags)  # a wrong setting is told here, not in the service's log
    return _make(service.open_client(place, name=name, flags=dict(flags)))


def attach(name_or_path: str | os.PathLike[str], *, read_only: bool = False) -> Log:
    """Attach to a running log by its name, or by its directory (a path object, or with a slash).

    Args:
        name_or_path: Which log.
        read_only: Map the region read-only: for users who may read but not write it.

    Raises:
        NotRunning: No such log runs.
        NotFound: The directory holds no log.
        PermissionDenied: It runs as another user.
        IncompatibleFormat: Its service is of another version.
    """
    if (
        isinstance(name_or_path, str)
        and "/" not in name_or_path
        and name_or_path not in ("", ".", "..")
    ):
        return _make(service.attach_name(name_or_path, read_only=read_only))
    place = Path(name_or_path).absolute()
    return _make(service.attach_directory(place, read_only=read_only))


def _attach_pickled(name: str, path: str, read_only: bool) -> Log:
    return _make(service.attach_name(name, read_only=read_only, path=Path(path)))


def _after_fork() -> None:
    for log in list(_logs):
        log._after_fork()


os.register_at_fork(after_in_child=_after_fork)
