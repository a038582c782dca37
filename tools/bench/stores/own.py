"""This log, and what it is measured against: plain system calls."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

import logstore

RAW_FILE: Final = 64 << 20
_READ: Final = 1 << 20


class Logstore:
    """This log, attached by name."""

    def __init__(self, place: str, *, durable: bool) -> None:
        self.log = logstore.attach(place)
        self.durable = durable
        self._level: logstore.Durability = "synced" if durable else "ring"

    def put(self, payload: bytes) -> None:
        self.log.append(payload, durability=self._level)

    def put_many(self, payloads: list[bytes]) -> None:
        self.log.append_many(payloads, durability=self._level)

    def finish(self) -> None:
        self.log.sync()

    def read(self) -> Iterator[bytes]:
        return (record.payload for record in self.log.read())  # type: ignore[misc]

    def close(self) -> None:
        self.log.close()


class Raw:
    """One preallocated file for each process, pwrite, and fdatasync: no order between processes."""

    def __init__(self, place: str, *, durable: bool) -> None:
        self._fd = os.open(f"{place}.{os.getpid()}", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.posix_fallocate(self._fd, 0, RAW_FILE)
        os.fsync(self._fd)
        self._durable = durable
        self._offset = 0
        self._size = 0

    def put(self, payload: bytes) -> None:
        self._size = len(payload)
        self._offset += os.pwrite(self._fd, payload, self._offset)
        if self._durable:
            os.fdatasync(self._fd)

    def put_many(self, payloads: list[bytes]) -> None:
        self.put(b"".join(payloads))
        self._size = len(payloads[0])

    def finish(self) -> None:
        os.fdatasync(self._fd)

    def read(self) -> Iterator[bytes]:
        piece = _READ - _READ % self._size
        for offset in range(0, self._offset, piece):
            data = os.pread(self._fd, min(piece, self._offset - offset), offset)
            for at in range(0, len(data), self._size):
                yield data[at : at + self._size]

    def close(self) -> None:
        os.close(self._fd)
