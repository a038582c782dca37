"""Every error that logstore raises on purpose.

The class says what the caller can do, the message says where it happened. The
four parts of this module are the four answers to "whose fault is it": nobody's
(wait and try again), the caller's argument, the environment, the storage.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

_PLACES = ("path", "segment", "offset", "lsn", "pid")


class LogstoreError(Exception):
    """Stand above all errors of logstore; catch it to catch any of them.

    Attributes:
        message: What happened, without the place.
        path: The file or directory concerned, if there is one.
        segment: The name of the segment file concerned.
        offset: Byte offset in that file.
        lsn: Log position concerned.
        errno: The operating system's error number, if a system call failed.
        pid: The process concerned, such as the holder of a lock.
    """

    path: Path | None
    segment: str | None
    offset: int | None
    lsn: int | None
    errno: int | None
    pid: int | None

    def __init__(
        self,
        message: str,
        *,
        path: str | Path | None = None,
        segment: str | None = None,
        offset: int | None = None,
        lsn: int | None = None,
        errno: int | None = None,
        pid: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = None if path is None else Path(path)
        self.segment = segment
        self.offset = offset
        self.lsn = lsn
        self.errno = errno
        self.pid = pid

    def __str__(self) -> str:
        places = [(name, getattr(self, name)) for name in _PLACES]
        where = ", ".join(f"{name} {value}" for name, value in places if value is not None)
        return f"{self.message} ({where})" if where else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # The default would lose errno of the classes that are also an OSError,
        # and a worker's error must arrive in its parent whole.
        places = {name: getattr(self, name) for name in (*_PLACES, "errno")}
        return _rebuild, (type(self), self.message, places), self.__dict__


def _rebuild(kind: type[LogstoreError], message: str, places: dict[str, Any]) -> LogstoreError:
    return kind(message, **places)


# Nobody's fault: wait, then try again.


class RingFull(LogstoreError):
    """Tell that the ring stayed full until the time-out; nothing was appended.

    Try again later, or ask `status` why the committer does not keep up.
    """


class DiskFull(LogstoreError):
    """Tell that the file system has no room; nothing that was appended is lost.

    Make room; the log goes on by itself and needs no restart.
    """


class Timeout(LogstoreError, TimeoutError):
    """Tell that the awaited position was not reached in time.

    The append itself stands: waiting again for the same LSN is right.
    """


class NotRunning(LogstoreError):
    """Tell that no service runs for this log.

    Start one (`logstore serve`, or `logstore.open`), then attach again.
    """


# The caller's argument: correct it.


class InvalidArgument(LogstoreError, ValueError):
    """Tell that an argument or a setting is not allowed; the message says what is."""


class InvalidLSN(LogstoreError, ValueError):
    """Tell that a number is not the position of a record.

    Use positions that `append` or a record gave; do not compute them.
    """


class RecordTooLarge(LogstoreError, ValueError):
    """Tell that a record is larger than this log's ring or segments allow.

    Split the record, or start the service with a larger ring.
    """


class NotFound(LogstoreError, LookupError):
    """Tell that there is no such log, group, cursor, record or position (any more)."""


class Compacted(NotFound):
    """Tell that the record was dropped because nothing needed it any more."""


class Lost(NotFound):
    """Tell that the record was lost to damage, and that a repair has closed the hole."""


class NotWritten(NotFound):
    """Tell that no record of this number was ever written, or its writer gave it up."""


class RevertedError(LogstoreError):
    """Tell that the record, or the transaction, was hidden by a revert.

    It is not part of the log any more; append anew what is still wanted.
    """


class LimitReached(LogstoreError):
    """Tell that a table of fixed size is full: clients, groups, or open transactions."""


class Closed(LogstoreError):
    """Tell that this log object was closed, or that its service has ended.

    Open or attach again.
    """


class ReadOnly(LogstoreError):
    """Tell that this log was opened for reading only.

    Attach for writing to append.
    """


# The environment: the machine, its rights and its limits.


class PermissionDenied(LogstoreError, PermissionError):
    """Tell that the operating system refused access; `errno` is its reason.

    Run as the log's owner, or have the service started with a group.
    """


class InUse(LogstoreError):
    """Tell that another process holds what is asked for; `pid` is that process."""


class SharedMemoryFull(LogstoreError):
    """Tell that /dev/shm has no room for the region.

    Ask for a smaller ring, or make /dev/shm larger.
    """


class Unsupported(LogstoreError):
    """Tell that this system lacks something that logstore needs."""


# The storage: do not go on as if nothing had happened.


class SyncFailed(LogstoreError):
    """Tell that the disk did not confirm data; `errno` is its reason.

    It stays so until the service starts anew: what the disk holds is known only after
    recovery. Positions reported as synced before are safe.
    """


class Corruption(LogstoreError):
    """Tell that stored bytes are not what was written; the message says where.

    Nothing was changed. Keep a copy, look at the disk, then use `logstore repair`.
    """


class IncompatibleFormat(LogstoreError):
    """Tell that the files are sound but from a version that this one cannot read.

    Use a newer logstore.
    """


class ReadFailed(LogstoreError):
    """Tell that the disk could not be read; `errno` is its reason.

    Nothing was changed. This says nothing about the bytes: look at the disk first.
    """
