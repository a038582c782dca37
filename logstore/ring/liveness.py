"""Who is alive: open-file-description locks on the bytes of the data directory's `lock` file.

Every client and every role holds the lock on its byte for life. The kernel drops it when the last
descriptor of that open file goes, however the process ends, so a free lock means dead: no pid
reuse, no time-out, and it works across pid namespaces.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from pathlib import Path
from typing import Final

from logstore.disk_errors import reading, writing
from logstore.errors import LogstoreError, PermissionDenied

NAME: Final = "lock"
RECOVERY: Final = 1 << 20
"""The byte that whoever repairs the guard holds meanwhile."""

GROUPS: Final = RECOVERY + 1
"""The byte that whoever makes a group holds meanwhile."""
REVERT: Final = RECOVERY + 2
"""The byte that whoever reverts holds meanwhile."""
PLACES: Final = RECOVERY + 3
"""The byte that whoever gives a cursor its place holds meanwhile, and whoever compacts."""

APPLIER: Final = RECOVERY + 1024
"""The first of the bytes, one for each group, that whoever applies the group's records holds."""

CURSORS: Final = 1 << 62
"""From here on every name of a cursor has a slot of bytes, of which its holder locks as many as its
pid says. So whoever finds the lock also learns, in the same look, whose it is."""
_SLOT_SHIFT: Final = 23  # a pid is at most 2**22: neighbours never touch, or they would be merged
_SLOT_BITS: Final = 62 - _SLOT_SHIFT

_FLOCK: Final = struct.Struct("hhqqi4x")  # l_type, l_whence, l_start, l_len, l_pid
_TO_THE_END: Final = 0


def cursor_slot(name: str) -> int:
    """Return the first byte of a cursor's slot; it follows from the name alone.

    Two names share a slot once in 2**39. They could then not be held at the same time.
    """
    # Imported here: most programs have no cursors, and it takes a while.
    from hashlib import blake2b

    number = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")
    return CURSORS + ((number & ((1 << _SLOT_BITS) - 1)) << _SLOT_SHIFT)


def _command(kind: int, index: int, count: int = 1) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, index, count, 0)


class LockFile:
    """One open file description of the lock file; the locks taken through it live as long as it.

    Locks held through one description do not conflict with each other: to ask whether this very
    process holds a byte, ask through another `LockFile`. Any thread may call any method.
    """

    def __init__(
        self, directory: Path, *, mode: int | None = None, read_only: bool = False
    ) -> None:
        """Open the lock file of a data directory.

        Args:
            directory: The data directory.
            mode: Create the file, with these permissions, if it is missing.
            read_only: Only to ask who holds what: nothing can be taken.

        Raises:
            PermissionDenied: The file may not be opened.
            NotFound, ReadFailed: It is not there, or cannot be opened.
            DiskFull, SyncFailed: It cannot be made.
        """
        self.path = directory / NAME
        self._pid = os.getpid()
        access = os.O_RDONLY if read_only else os.O_RDWR
        # Opened without blocking, so that a fifo of this name cannot hang the caller.
        flags = access | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        self._fd = -1
        try:
            with (reading if mode is None else writing)("the lock file"):
                create = 0 if mode is None else os.O_CREAT
                self._fd = os.open(self.path, flags | create, mode or 0)
                if not stat.S_ISREG(os.fstat(self._fd).st_mode):
                    raise PermissionError(errno.EACCES, "not a regular file")
                if mode is not None:
                    os.fchmod(self._fd, mode)
        except LogstoreError as error:
            self.close()
            error.path = self.path
            if isinstance(error, PermissionDenied):
                error.message = "cannot open the lock file; run as the log's owner"
            raise

    def take(self, index: int, count: int = 1) -> bool:
        """Take `count` bytes from `index` on if they are free; never blocks."""
        try:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _command(fcntl.F_WRLCK, index, count))
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
        return self.extent(index) != 0

    def extent(self, index: int) -> int:
        """Return how many bytes the lock has that somebody else holds at `index`; 0 for none."""
        answer = fcntl.fcntl(self._fd, fcntl.F_OFD_GETLK, _command(fcntl.F_WRLCK, index))
        kind, _, _, length = _FLOCK.unpack(answer)[:4]
        return 0 if kind == fcntl.F_UNLCK else int(length)

    def any_held(self, first: int, count: int) -> bool:
        """Tell whether somebody holds any byte of a range through another description."""
        answer = fcntl.fcntl(self._fd, fcntl.F_OFD_GETLK, _command(fcntl.F_WRLCK, first, count))
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)

    def close(self) -> None:
        """Drop every lock taken through this description; in a forked child, only its copy."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            try:
                # Said, not left to the last descriptor: a thread may be starting a process, whose
                # child has a copy between its fork and its exec.
                if os.getpid() == self._pid:
                    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _command(fcntl.F_UNLCK, 0, _TO_THE_END))
            finally:
                os.close(fd)
