"""Reading small logs the way the tests of the reader do."""

from __future__ import annotations

import pytest

from logstore.errors import (
    LogstoreError,
)
from logstore.frames import Record
from logstore.segments.reader import SegmentReader
from tests.memory_directory import MemoryDirectory
from tests.segments.small_log import (
    DATA,
    NAMES,
    UUID,
    SmallLog,
)


def long_log(count: int = 9) -> SmallLog:
    """Make a log of many small sealed segments and an active one."""
    log = SmallLog(MemoryDirectory())
    for number in range(count):
        if log.header is not None:
            log.seal()
        log.begin()
        for more in range(1 + number % 3):
            log.put(b"%d.%d" % (number, more))
    return log


def reader_of(log: SmallLog, *, chunk_size: int = 65536) -> SegmentReader:
    return SegmentReader(log.directory, UUID, chunk_size=chunk_size)


def read(
    reader: SegmentReader, start_lsn: int, end_lsn: int, *, kinds: int = DATA, copy: bool = True
) -> list[Record]:
    chunks = reader.chunks(start_lsn, lambda: end_lsn, NAMES, kinds=kinds, copy=copy)
    return [record for chunk in chunks for record in chunk]


def read_until_error(
    log: SmallLog, kind: type[LogstoreError]
) -> tuple[list[Record], LogstoreError]:
    """Read all; return the records that were given before the error, and the error."""
    seen: list[Record] = []

    def read() -> None:
        with reader_of(log) as reader:
            for chunk in reader.chunks(4096, lambda: log.end_lsn, NAMES, kinds=DATA):
                seen.extend(chunk)

    with pytest.raises(kind) as caught:
        read()
    return seen, caught.value
