"""Snapshot files: what was saved is loaded, and anything else is corruption with its path."""

from __future__ import annotations

import struct

import pytest

from logstore.engines.snapshots import Snapshot, load, save
from logstore.errors import Corruption
from logstore.frames import crc32c
from logstore.segments.ranges import RangeSet
from tests.memory_directory import MemoryDirectory

APPLIED = RangeSet([(1, 5), (9, 9)])
NAME = f"snapshots/{b'orders'.hex()}.snapshot"


def holding(body: bytes) -> MemoryDirectory:
    directory = MemoryDirectory()
    directory.files[NAME] = bytearray(body + struct.pack("<I", crc32c(body)))
    return directory


def body(resume_lsn: int, length: int, applied: bytes, magic: bytes = b"LOGSTSNP") -> bytes:
    return struct.pack("<8sQQ", magic, resume_lsn, length) + applied + b"state"


def test_what_was_saved_is_loaded() -> None:
    directory = MemoryDirectory()
    assert load(directory, "orders") is None
    save(directory, "orders", Snapshot(8192, APPLIED, b"state"))
    assert load(directory, "orders") == Snapshot(8192, APPLIED, b"state")
    assert bytes(directory.files[NAME][:-4]) == body(8192, 40, APPLIED.encode())


@pytest.mark.parametrize(
    "data",
    [
        body(8192, 40, APPLIED.encode(), magic=b"LOGSTSEG"),
        body(8192, 39, APPLIED.encode()),
        body(8192, 41, APPLIED.encode()),
        body(8192, 2**64 - 1, APPLIED.encode()),
        body(8192, 40, RangeSet([(1, 5)]).encode()),
        body(8192, 40, APPLIED.encode()[:20]),
        body(8193, 40, APPLIED.encode()),
        body(2**63, 40, APPLIED.encode()),
        b"LOGSTSNP",
    ],
)
def test_what_cannot_have_been_saved_is_corruption_with_its_path(data: bytes) -> None:
    directory = holding(data)
    with pytest.raises(Corruption) as caught:
        load(directory, "orders")
    assert caught.value.path == directory.path / NAME


def test_every_bit_counts() -> None:
    directory = holding(body(8192, 40, APPLIED.encode()))
    data = directory.files[NAME]
    for bit in range(len(data) * 8):
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Corruption):
            load(directory, "orders")
        data[bit // 8] ^= 1 << bit % 8
