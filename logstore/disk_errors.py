"""What a failed system call on the data directory means for the caller."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from logstore.errors import (
    DiskFull,
    LogstoreError,
    NotFound,
    PermissionDenied,
    ReadFailed,
    SyncFailed,
)

_DENIED: Final = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP, errno.EISDIR}
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn an `OSError` of the block into NotFound, PermissionDenied or ReadFailed."""
    try:
        yield
    except LogstoreError:
        raise
    except FileNotFoundError as error:
        raise _translated(NotFound, f"{what} does not exist", error) from error
    except OSError as error:
        kind = PermissionDenied if error.errno in _DENIED else ReadFailed
        raise _translated(kind, f"{what} could not be read: {error.strerror}", error) from error


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Turn an `OSError` of the block into DiskFull, PermissionDenied or SyncFailed."""
    try:
        yield
    except LogstoreError:
        raise
    except OSError as error:
        kind: type[LogstoreError] = SyncFailed
        if error.errno in _FULL:
            kind = DiskFull
        elif error.errno in _DENIED:
            kind = PermissionDenied
        raise _translated(kind, f"{what} could not be written: {error.strerror}", error) from error


def _translated(kind: type[LogstoreError], message: str, error: OSError) -> LogstoreError:
    return kind(message, path=error.filename, errno=error.errno)
