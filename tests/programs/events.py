"""What a writer tells the test about each record, over a pipe: events of one fixed size."""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from logstore.lsn import DURABILITIES, Durability

_EVENT: Final = struct.Struct("<BBHIQQQ")
EVENT_SIZE: Final = _EVENT.size


class Said(IntEnum):
    """What an event says of its record."""

    ISSUED = 1
    ACKED = 2
    ABORTED = 3
    HELD = 4


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it was received.

    Attributes:
        batch: Number of the batch that the record belongs to, 0 for none.
        value: Digest of an issued record, LSN of all others.
    """

    said: Said
    level: Durability
    batch: int
    writer: int
    n: int
    value: int
    time_ns: int


def digest(payload: bytes) -> int:
    """Return a payload's length and CRC-32 in one number."""
    return len(payload) << 32 | zlib.crc32(payload)


def decode(stream: bytes) -> Iterator[Event]:
    """Yield the whole events of a stream; what a killed writer left of its last one is dropped."""
    whole = len(stream) - len(stream) % EVENT_SIZE
    for said, level, batch, writer, n, value, time_ns in _EVENT.iter_unpack(stream[:whole]):
        yield Event(Said(said), DURABILITIES[level], batch, writer, n, value, time_ns)


class Reporter:
    """Report one writer's records; each call is one write to the pipe."""

    def __init__(self, fd: int, writer: int) -> None:
        self._fd = fd
        self._writer = writer

    def issued(self, first: int, payloads: Sequence[bytes], batch: int = 0) -> None:
        """Say that these records are about to be appended."""
        values = [digest(payload) for payload in payloads]
        self._tell(Said.ISSUED, "ring", batch, first, values)

    def acked(self, first: int, lsns: Sequence[int], level: Durability, batch: int = 0) -> None:
        """Say that an append has returned."""
        self._tell(Said.ACKED, level, batch, first, lsns)

    def aborted(self, n: int, lsn: int) -> None:
        """Say that a reservation was given up."""
        self._tell(Said.ABORTED, "ring", 0, n, [lsn])

    def held(self, n: int, lsn: int) -> None:
        """Say that a reservation is held and will not be finished."""
        self._tell(Said.HELD, "ring", 0, n, [lsn])

    def _tell(
        self, said: Said, level: Durability, batch: int, first: int, values: Sequence[int]
    ) -> None:
        now, rank = time.monotonic_ns(), DURABILITIES.index(level)
        message = b"".join(
            _EVENT.pack(said, rank, batch, self._writer, first + i, value, now)
            for i, value in enumerate(values)
        )
        done = 0
        while done < len(message):
            done += os.write(self._fd, message[done:])
