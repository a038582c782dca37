"""All cursors of a log, seen from outside: which there are, whose, how far, and what they pin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

from logstore import holding
from logstore.errors import Corruption, IncompatibleFormat, NotFound, PermissionDenied
from logstore.files import Directory
from logstore.ring.liveness import LockFile, cursor_slot
from logstore.segments import cursors as files


@dataclass(frozen=True, slots=True)
class CursorStatus:
    """Say how far a consumer is.

    Attributes:
        name: What the cursor is called.
        group: The group that it reads; None for all.
        position_lsn: Where it would resume after a crash: the saved position. 0 if damaged.
        lag: Bytes of log, of all groups, from there to the synced end.
        holder: The pid of the process that has it open, or None; None also to who may not ask.
        updated_ns: When the position was saved, wall-clock.
        damaged: Its file cannot be read: it pins everything until it is restored or deleted.
    """

    name: str
    group: str | None
    position_lsn: int
    lag: int
    holder: int | None
    updated_ns: int
    damaged: bool


class Pin(NamedTuple):
    """Say from where on a cursor needs the log; `pid` is that of its holder, if it has one."""

    lsn: int
    name: str
    pid: int | None


def listing(directory: Directory, end_lsn: int) -> list[CursorStatus]:
    """Describe all cursors, sorted by name; their lag is measured up to `end_lsn`.

    Raises:
        ReadFailed, PermissionDenied: The files could not be read.
    """
    names = files.names(directory)
    with _locks(directory if names else None) as locks:
        described = [_describe(directory, name, locks, end_lsn) for name in names]
    return [status for status in described if status is not None]


def _describe(
    directory: Directory, name: str, locks: LockFile | None, end_lsn: int
) -> CursorStatus | None:
    holder = None if locks is None else locks.extent(cursor_slot(name)) or None
    try:
        saved = files.load(directory, name)
    except (Corruption, IncompatibleFormat):
        return CursorStatus(name, None, 0, end_lsn, holder, 0, damaged=True)
    if saved is None:
        return None  # It was deleted since the folder was listed.
    position = saved.position_lsn
    lag = max(0, end_lsn - position)
    return CursorStatus(name, saved.group, position, lag, holder, saved.updated_ns, damaged=False)


@contextmanager
def _locks(directory: Directory | None) -> Iterator[LockFile | None]:
    """Open the lock file; None if this user may not, or there is nothing to ask."""
    locks: LockFile | None = None
    if directory is not None:
        with suppress(PermissionDenied, NotFound):
            locks = LockFile(directory.path)
    try:
        yield locks
    finally:
        if locks is not None:
            locks.close()


def pins(directory: Directory) -> list[Pin]:
    """Return what every cursor, held or not, still needs: all frames from an LSN on.

    It also needs the parts, below that LSN, of transactions that are open *at* that LSN and are
    committed behind it. A damaged cursor pins everything, with LSN 0.

    Raises:
        ReadFailed, PermissionDenied: The files could not be read: drop nothing.
    """
    return [Pin(one.position_lsn, one.name, one.holder) for one in listing(directory, 0)]


def exists(directory: Directory, name: str) -> bool:
    """Tell whether there is a cursor of this name, damaged or not."""
    return name in files.names(directory)


def delete(directory: Directory, name: str) -> None:
    """Delete a cursor that nobody holds; durable on return.

    Raises:
        InUse: Somebody holds it.
        NotFound: There is no such cursor.
        PermissionDenied, SyncFailed: It was not deleted.
    """
    lock = holding.take(directory.path, name)
    try:
        files.delete(directory, name)
    finally:
        lock.close()
