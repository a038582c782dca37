"""A data directory that writes down, in one global order, all that changes it.

Every change of a file goes through `logstore.files.Directory`; this wraps one, real or in memory.
A sync has a beginning and an end: what others write in between is not covered by it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from logstore.files import Directory
from tests.memory_directory import MemoryDirectory

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


@dataclass(frozen=True, slots=True)
class Op:
    """One change, or one note about what somebody was told.

    Attributes:
        what: create, rename, unlink, folder, write, size, sync, sync_failed, sync_names; or a
            note: issued, acked.
        file: Which file, whatever its name is.
        name: Its name, or the folder's.
        to: The name after a rename.
        number: Offset of a write, size of a file, LSN of a note; for a sync, how many ops there
            were when it began.
        data: The bytes written.
    """

    what: str
    file: int = 0
    name: str = ""
    to: str = ""
    number: int = 0
    data: bytes = b""

    def __str__(self) -> str:
        words = [self.what, f"#{self.file}" if self.file else "", self.name, self.to]
        return " ".join([*filter(None, words), str(self.number), f"({len(self.data)} bytes)"])


@dataclass(frozen=True, slots=True)
class Image:
    """What is on the disk when the power comes back."""

    files: dict[str, bytes]
    folders: frozenset[str]

    @property
    def key(self) -> int:
        """Equal for equal images; file bytes remember their own hash."""
        return hash((frozenset(self.files.items()), self.folders))


EMPTY: Final = Image({}, frozenset())


@dataclass(slots=True)
class Trace:
    """What happened to a directory, in order.

    Attributes:
        before: What was durable at the beginning; its files have the numbers 1, 2, 3 ...
        ops: What happened since.
    """

    before: Image = EMPTY
    ops: list[Op] = field(default_factory=list)


class Recording(Directory):
    """The recording half; the other base class does the work."""

    direct = False
    trace: Trace
    _ids: dict[str, int]
    _files: dict[int, int]
    _errors: dict[int, int]  # how often a file has lost what was pending
    _told: dict[int, int]  # of how many of these a descriptor knows
    _last_id: int
    _really_sync: bool
    pause: Callable[[], None]
    failing: Callable[[str], bool]

    def record(self, trace: Trace, *, really_sync: bool = False) -> None:
        """Begin to write down; the directory has just the files of `trace.before`.

        Args:
            trace: Where to.
            really_sync: Whether a sync reaches the disk: only a comparison needs that.
        """
        self.trace = trace
        self._ids = {name: number for number, name in enumerate(trace.before.files, 1)}
        self._files = {}
        self._errors = {}
        self._told = {}
        self._last_id = len(self._ids)
        self._really_sync = really_sync
        self.pause = lambda: None
        self.failing = lambda name: False

    def _note(self, what: str, file: int = 0, name: str = "", **more: object) -> None:
        self.trace.ops.append(Op(what, file, name, **more))  # type: ignore[arg-type]

    # Names.

    def rename(self, old: str, new: str) -> None:
        self.pause()
        super().rename(old, new)
        self._ids[new] = file = self._ids.pop(old)
        self._note("rename", file, old, to=new)

    def unlink(self, name: str) -> None:
        self.pause()
        super().unlink(name)
        self._note("unlink", self._ids.pop(name), name)

    def make_directory(self, name: str, mode: int = 0o700) -> None:
        self.pause()
        super().make_directory(name, mode)
        self._note("folder", 0, name)

    def sync(self, folder: str = ".") -> None:
        self.pause()
        begun = len(self.trace.ops)
        self.pause()
        if self._really_sync:
            super().sync(folder)
        self._note("sync_names", 0, folder, number=begun)

    # Files.

    def create(self, name: str, mode: int = 0o600) -> int:
        self.pause()
        fd = super().create(name, mode)
        self._last_id += 1
        self._ids[name] = self._last_id
        self._opened(fd, name)
        self._note("create", self._last_id, name)
        return fd

    def open_read(self, name: str) -> int:
        fd = super().open_read(name)
        self._opened(fd, name)
        return fd

    def open_write(self, name: str) -> int:
        fd = super().open_write(name)
        self._opened(fd, name)
        return fd

    def _opened(self, fd: int, name: str) -> None:
        self._files[fd] = file = self._ids.get(name, 0)
        self._told[fd] = self._errors.get(file, 0)

    def write(self, fd: int, buffer: ReadableBuffer, offset: int) -> None:
        self.pause()
        super().write(fd, buffer, offset)
        data = bytes(memoryview(buffer).cast("B"))
        self._note("write", self._files[fd], number=offset, data=data)

    def truncate(self, fd: int, size: int) -> None:
        self.pause()
        super().truncate(fd, size)
        self._note("size", self._files[fd], number=size)

    def allocate(self, fd: int, size: int) -> None:
        self.pause()
        before = self.file_size(fd)
        super().allocate(fd, size)
        self._note("size", self._files[fd], number=max(before, size))

    def sync_file(self, fd: int) -> None:
        self.pause()
        begun = len(self.trace.ops)
        file = self._files[fd]
        self.pause()
        if self._told[fd] < self._errors.get(file, 0):
            # Another descriptor met the error; who had the file open is told too, as by Linux.
            self._told[fd] = self._errors[file]
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if self.failing(next((n for n, i in self._ids.items() if i == file), "")):
            self._told[fd] = self._errors[file] = self._errors.get(file, 0) + 1
            self._note("sync_failed", file, number=begun)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if self._really_sync:
            super().sync_file(fd)
        self._note("sync", file, number=begun)


class RecordedDisk(Recording):
    """A real directory that records; one object for all roles, closed by `really_close`."""

    def opened_again(self) -> Directory:
        return self

    def close(self) -> None:
        """Stay open: every role believes that the directory is its own."""

    def really_close(self) -> None:
        """Close the directory, and what the killed have left open."""
        for fd in list(self._open_names):
            self.close_file(fd)
        super().close()


class RecordedMemory(Recording, MemoryDirectory):
    """A directory in memory that records."""

    @classmethod
    def of(cls, image: Image) -> Self:
        """Return a directory with an image's files, all durable, and begin to record."""
        made = cls()
        made.files = {name: bytearray(data) for name, data in image.files.items()}
        made.folders = set(image.folders)
        made.record(Trace(image))
        return made
