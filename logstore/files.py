"""The data directory's files: the only module that opens, writes, syncs, renames or lists them.

Nothing here knows what the bytes mean. Every call is a method, so that a test can put a
disk in its place that fails, forgets or records. `OSError` escapes as it is, with its errno
and, where it is known, the full path in `filename`; callers say what it means.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Self

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_OPEN_FLAGS: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Directory:
    """Hold one open data directory; every name is relative to it.

    A name may have one slash, for a file in a folder that `make_directory` made. Symbolic
    links, fifos and devices are never followed or opened. Any thread may call any method;
    two threads may use one file descriptor, because every call carries its offset.

    Attributes:
        path: Where the directory is.
        fd: Its descriptor; it stays the same directory when the path is renamed.
    """

    direct: ClassVar[bool] = True  # C may use the descriptors itself; not those of a test's disk

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd
        self._open_names: dict[int, str] = {}

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, create: bool, mode: int = 0o700) -> Self:
        """Open a directory, and first make it, and its parents, if `create` is true.

        What this makes has exactly `mode` and a durable entry; what was there stays as it is.

        Raises:
            OSError: FileNotFoundError, NotADirectoryError, PermissionError and the like.
        """
        place = Path(path).absolute()
        if create:
            _make(place, mode)
        return cls(place, os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def opened_again(self) -> Directory:
        """Return the same directory as an object of its own, for somebody who closes his."""
        return Directory(self.path, os.dup(self.fd))

    def close(self) -> None:
        """Close the directory; files that were opened through it stay open."""
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Names.

    def names(self, folder: str = ".") -> list[str]:
        """List all names, in no order."""
        with self._open_folder(folder) as fd:
            return os.listdir(fd)  # noqa: PTH208 (a descriptor, not a path)

    def sizes(self, folder: str = ".") -> dict[str, int]:
        """Map the names of regular files to their sizes in bytes, in no order."""
        with self._open_folder(folder) as fd, os.scandir(fd) as entries:
            found = {}
            for entry in entries:
                with suppress(FileNotFoundError):  # Others rename and drop meanwhile.
                    if entry.is_file(follow_symlinks=False):
                        found[entry.name] = entry.stat(follow_symlinks=False).st_size
            return found

    def size(self, name: str) -> int:
        """Return the size of a file in bytes."""
        with self._place(name):
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_size

    def modified_ns(self, name: str) -> int:
        """Return when a file was changed last, wall-clock."""
        with self._place(name):
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_mtime_ns

    def exists(self, name: str) -> bool:
        """Tell whether the name is there, whatever it is."""
        try:
            self.size(name)
        except FileNotFoundError:
            return False
        return True

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, replacing what has that name; durable after `sync`."""
        with self._place(old):
            os.rename(old, new, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        for fd, name in list(self._open_names.items()):
            if name == old:
                self._open_names[fd] = new

    def unlink(self, name: str) -> None:
        """Remove a name; durable after `sync`. Descriptors of the file stay good."""
        with self._place(name):
            os.unlink(name, dir_fd=self.fd)

    def make_directory(self, name: str, mode: int = 0o700) -> None:
        """Make a folder if it is not there; durable after `sync`.

        Raises:
            NotADirectoryError: Something else has the name, be it a link to a folder.
        """
        with self._place(name):
            try:
                os.mkdir(name, mode, dir_fd=self.fd)
                os.chmod(name, mode, dir_fd=self.fd)  # whatever the umask
            except FileExistsError:
                found = os.stat(name, dir_fd=self.fd, follow_symlinks=False)
                if not stat.S_ISDIR(found.st_mode):
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None

    def sync(self, folder: str = ".") -> None:
        """Make all names in the directory, or in a folder of it, durable; blocks on the disk."""
        with self._open_folder(folder) as fd:
            os.fsync(fd)

    # Opening files.

    def create(self, name: str, mode: int = 0o600) -> int:
        """Create a file that must not exist and open it for reading and writing.

        It has exactly `mode`, whatever the umask. Its name is durable after `sync`.

        Raises:
            FileExistsError: The name is taken, be it by a dangling link.
        """
        fd = self._open_file(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        with self._place(name):
            os.fchmod(fd, mode)
        return fd

    def open_read(self, name: str) -> int:
        """Open a regular file for reading."""
        return self._open_file(name, os.O_RDONLY)

    def open_write(self, name: str) -> int:
        """Open an existing regular file for reading and writing."""
        return self._open_file(name, os.O_RDWR)

    def file_size(self, fd: int) -> int:
        """Return the size of an open file in bytes, whatever has become of its name."""
        with self._place_of(fd):
            return os.fstat(fd).st_size

    def close_file(self, fd: int) -> None:
        """Close a file descriptor; this makes nothing durable."""
        self._open_names.pop(fd, None)
        os.close(fd)

    # File contents.

    def read(self, fd: int, length: int, offset: int) -> bytes:
        """Return `length` bytes from `offset` on, fewer only at the end of the file."""
        try:
            piece = os.pread(fd, length, offset)
        except OSError:
            with self._place_of(fd):
                raise
        if len(piece) in (0, length):
            return piece
        return piece + self.read(fd, length - len(piece), offset + len(piece))

    def read_into(self, fd: int, buffer: WriteableBuffer, offset: int) -> int:
        """Fill `buffer` from `offset` on; return how many bytes, fewer only at the file's end."""
        with self._place_of(fd), memoryview(buffer) as whole, whole.cast("B") as view:
            done = 0
            while done < len(view):
                with view[done:] as rest:
                    count = os.preadv(fd, [rest], offset + done)
                if count == 0:
                    break
                done += count
            return done

    def write(self, fd: int, buffer: ReadableBuffer, offset: int) -> None:
        """Write all of `buffer` at `offset`; a short write goes on with the rest.

        On return the bytes are in the page cache and not durable. When it raises, any part
        of them may be.
        """
        with self._place_of(fd), memoryview(buffer) as whole:
            done = os.pwrite(fd, whole, offset)
            if done == whole.nbytes:
                return
            with whole.cast("B") as view:
                while done < len(view):
                    with view[done:] as rest:
                        count = os.pwrite(fd, rest, offset + done)
                    if count == 0:
                        raise OSError(errno.EIO, "a write wrote nothing")
                    done += count

    def sync_file(self, fd: int) -> None:
        """Make a file's bytes and size durable; blocks on the disk.

        Raises:
            OSError: What the disk holds is unknown. Never try again and believe the result:
                the kernel has marked the lost pages clean.
        """
        with self._place_of(fd):
            os.fdatasync(fd)

    def truncate(self, fd: int, size: int) -> None:
        """Make a file exactly `size` bytes long; durable after `sync_file`."""
        with self._place_of(fd):
            os.ftruncate(fd, size)

    def allocate(self, fd: int, size: int) -> None:
        """Reserve `size` bytes of disk, so that writes into them cannot run out of space."""
        with self._place_of(fd):
            os.posix_fallocate(fd, 0, size)

    # Inside.

    def _open_file(self, name: str, flags: int, mode: int = 0) -> int:
        with self._place(name):
            fd = os.open(name, flags | _OPEN_FLAGS, mode, dir_fd=self.fd)
            # Opened without blocking, so that a fifo of this name cannot hang the caller.
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                os.close(fd)
                raise OSError(errno.EINVAL, "not a regular file")
        self._open_names[fd] = name
        return fd

    @contextmanager
    def _open_folder(self, folder: str) -> Iterator[int]:
        with self._place(folder):
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            # A new descriptor even for the directory itself: listing moves its position,
            # and two threads may list at the same time.
            fd = os.open(folder, flags, dir_fd=self.fd)
            try:
                yield fd
            finally:
                os.close(fd)

    def _place_of(self, fd: int) -> _Place:
        return _Place(self, self._open_names.get(fd))

    def _place(self, name: str) -> _Place:
        return _Place(self, name)


class _Place:
    """Give an `OSError` that passes through the full path that it concerns."""

    __slots__ = ("_directory", "_name")

    def __init__(self, directory: Directory, name: str | None) -> None:
        self._directory = directory
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError) and self._name is not None:
            place = self._directory.path
            error.filename = str(place if self._name == "." else place / self._name)


def _make(place: Path, mode: int) -> None:
    missing = [place, *place.parents]
    missing = [folder for folder in missing if not folder.exists()]
    for folder in reversed(missing):
        try:
            folder.mkdir(mode if folder == place else 0o777)
        except FileExistsError:
            continue  # Another process made it meanwhile; its mode is that process's business.
        if folder == place:
            folder.chmod(mode)
        with Directory.open(folder.parent, create=False) as parent:
            parent.sync()
