"""Who is alive: open-file-description locks on the bytes of the data directory's `lock` file.

Every client and every role holds the lock on its byte for life. The kernel drops it when the last
descriptor of that open file goes, however the process ends, so a free lock means dead: no pid
reuse, no time-out, and it works across pid namespaces.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path
from typing import Final

from logstore.errors import PermissionDenied

NAME: Final = "lock"
RECOVERY: Final = 1 << 20
"""The byte that whoever repairs the guard holds meanwhile."""

GROUPS: Final = RECOVERY + 1
"""The byte that whoever makes a group holds meanwhile."""
REVERT: Final = RECOVERY + 2
"""The byte that whoever reverts holds meanwhile."""

APPLIER: Final = RECOVERY + 1024
"""The first of the bytes, one for each group, that whoever applies the group's records holds."""

_FLOCK: Final = struct.Struct("hhqqi4x")  # l_type, l_whence, l_start, l_len, l_pid


def _command(kind: int, index: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, index, 1, 0)


class LockFile:
    """One open file description of the lock file; the locks taken through it live as long as it.

    Locks held through one description do not conflict with each other: to ask whether this very
    process holds a byte, ask through another `LockFile`. Any thread may call any method.
    """

    def __init__(self, directory: Path, *, mode: int | None = None) -> None:
        """Open the lock file of a data directory; with `mode`, create it if it is missing.

        Raises:
            PermissionDenied: The file may not be opened for writing.
        """
        self.path = directory / NAME
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            if mode is None:
                self._fd = os.open(self.path, flags)
            else:
                self._fd = os.open(self.path, flags | os.O_CREAT, mode)
                os.fchmod(self._fd, mode)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP):
                raise PermissionDenied(
                    "cannot open the lock file; run as the log's owner",
                    path=self.path,
                    errno=error.errno,
                ) from error
            raise

    def take(self, index: int) -> bool:
        """Take a byte if it is free; never blocks."""
        try:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _command(fcntl.F_WRLCK, index))
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            raise
        return True

    def release(self, index: int) -> None:
        """Give a byte back."""
        fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _command(fcntl.F_UNLCK, index))

    def held(self, index: int) -> bool:
        """Tell whether somebody holds a byte through another description."""
        answer = fcntl.fcntl(self._fd, fcntl.F_OFD_GETLK, _command(fcntl.F_WRLCK, index))
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)

    def any_held(self, first: int, count: int) -> bool:
        """Tell whether somebody holds any byte of a range through another description."""
        question = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, first, count, 0)
        answer = fcntl.fcntl(self._fd, fcntl.F_OFD_GETLK, question)
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)

    def close(self) -> None:
        """Drop every lock taken through this description."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)
