"""A data directory in memory: fast, easily copied, and able to fail at any call."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

from logstore.files import Directory

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class MemoryDirectory(Directory):
    """Do what `Directory` does, on a dict of bytearrays.

    `fault`, if set, is called before each operation with the method's name; what it raises
    takes the place of the operation. A killed process is an exception that is no OSError.
    `changes` counts the operations that have changed anything.
    """

    direct = False

    def __init__(self) -> None:
        super().__init__(Path("/memory"), -1)
        self.files: dict[str, bytearray] = {}
        self.folders: set[str] = set()
        self.fault: Callable[[str], None] | None = None
        self._descriptors: dict[int, bytearray] = {}
        self._next_fd = 1000
        self.changes = 0

    def copied(self) -> Self:
        """Return another directory with the same files and nothing open."""
        other = type(self)()
        other.files = {name: bytearray(data) for name, data in self.files.items()}
        other.folders = set(self.folders)
        return other

    def close(self) -> None:
        pass

    def names(self, folder: str = ".") -> list[str]:
        self._before("names")
        if folder == ".":
            return [name for name in (*self.files, *self.folders) if "/" not in name]
        return [Path(name).name for name in self.files if name.startswith(f"{folder}/")]

    def sizes(self, folder: str = ".") -> dict[str, int]:
        self._before("sizes")
        assert folder == "."
        return {name: len(data) for name, data in self.files.items() if "/" not in name}

    def size(self, name: str) -> int:
        self._before("size")
        return 0 if name in self.folders else len(self._file(name))

    def rename(self, old: str, new: str) -> None:
        self._before("rename")
        self.changes += 1
        self.files[new] = self._file(old)
        del self.files[old]

    def unlink(self, name: str) -> None:
        self._before("unlink")
        self.changes += 1
        self._file(name)
        del self.files[name]

    def make_directory(self, name: str, mode: int = 0o700) -> None:
        self._before("make_directory")
        self.changes += 1
        self.folders.add(name)

    def sync(self, folder: str = ".") -> None:
        self._before("sync")

    def create(self, name: str, mode: int = 0o600) -> int:
        self._before("create")
        self.changes += 1
        if name in self.files:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        self.files[name] = bytearray()
        return self._descriptor(self.files[name])

    def open_read(self, name: str) -> int:
        self._before("open_read")
        return self._descriptor(self._file(name))

    def open_write(self, name: str) -> int:
        self._before("open_write")
        return self._descriptor(self._file(name))

    def file_size(self, fd: int) -> int:
        self._before("file_size")
        return len(self._descriptors[fd])

    def close_file(self, fd: int) -> None:
        del self._descriptors[fd]

    def read(self, fd: int, length: int, offset: int) -> bytes:
        self._before("read")
        return bytes(self._descriptors[fd][offset : offset + length])

    def read_into(self, fd: int, buffer: WriteableBuffer, offset: int) -> int:
        self._before("read_into")
        view = memoryview(buffer).cast("B")
        data = self._descriptors[fd][offset : offset + len(view)]
        view[: len(data)] = data
        return len(data)

    def write(self, fd: int, buffer: ReadableBuffer, offset: int) -> None:
        self._before("write")
        self.changes += 1
        data = self._descriptors[fd]
        new = bytes(memoryview(buffer).cast("B"))
        data.extend(bytes(max(0, offset + len(new) - len(data))))
        data[offset : offset + len(new)] = new

    def sync_file(self, fd: int) -> None:
        self._before("sync_file")
        assert fd in self._descriptors

    def truncate(self, fd: int, size: int) -> None:
        self._before("truncate")
        self.changes += 1
        data = self._descriptors[fd]
        del data[size:]
        data.extend(bytes(size - len(data)))

    def allocate(self, fd: int, size: int) -> None:
        self._before("allocate")
        self.changes += 1
        data = self._descriptors[fd]
        data.extend(bytes(max(0, size - len(data))))

    def _before(self, call: str) -> None:
        if self.fault is not None:
            self.fault(call)

    def _file(self, name: str) -> bytearray:
        if name not in self.files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return self.files[name]

    def _descriptor(self, data: bytearray) -> int:
        self._next_fd += 1
        self._descriptors[self._next_fd] = data
        return self._next_fd

    @property
    def open_count(self) -> int:
        """How many descriptors nobody has closed."""
        return len(self._descriptors)
