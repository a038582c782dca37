"""Reading records from segments: ranges, kinds, and the limit."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from logstore.errors import InvalidLSN
from logstore.format import Kind
from tests.memory_directory import MemoryDirectory
from tests.segments.reading import long_log, read, reader_of
from tests.segments.small_log import (
    DATA,
    NAMES,
    SmallLog,
    facts,
    three_segments,
)


@pytest.fixture
def log() -> SmallLog:
    return three_segments(MemoryDirectory())


@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize("chunk_size", [32, 100, 4096, 65536])
def test_all_records_come_in_order_whatever_is_read_at_once(chunk_size: int, copy: bool) -> None:
    log = long_log()
    with reader_of(log, chunk_size=chunk_size) as reader:
        records = read(reader, 4096, log.end_lsn, copy=copy)
        assert reader.next_lsn == log.end_lsn
    assert facts(records) == log.records
    assert [record.seq for record in records] == list(range(1, len(records) + 1))


def test_reading_may_start_at_any_record_and_end_at_any(log: SmallLog) -> None:
    lsns = [lsn for lsn, _, _ in log.records] + [log.end_lsn]
    with reader_of(log) as reader:
        for first, start_lsn in enumerate(lsns):
            for last, end_lsn in enumerate(lsns):
                assert facts(read(reader, start_lsn, end_lsn)) == log.records[first:last]


def test_payloads_are_bytes_of_their_own_or_views(log: SmallLog) -> None:
    with reader_of(log) as reader:
        assert {type(record.payload) for record in read(reader, 4096, log.end_lsn)} == {bytes}
        views = read(reader, 4096, log.end_lsn, copy=False)
        assert {type(record.payload) for record in views} == {memoryview}
        read(reader, 4096, log.end_lsn)
    gc.collect()
    assert facts(views) == log.records


def test_only_the_wanted_kinds_come(log: SmallLog) -> None:
    log.mark(5)
    log.put(b"last")
    with reader_of(log) as reader:
        marks = read(reader, 4096, log.end_lsn, kinds=1 << Kind.MARK)
        assert [record.kind for record in marks] == [Kind.MARK]
        assert len(read(reader, 4096, log.end_lsn)) == 7
        assert read(reader, 4096, log.end_lsn, kinds=0) == []
        assert reader.next_lsn == log.end_lsn


def test_group_names_may_grow_while_it_reads() -> None:
    log = SmallLog(MemoryDirectory())
    log.begin()
    log.put(b"a", group=1)
    log.seal()
    log.begin()
    log.put(b"b", group=1)
    names = ["default"]
    with reader_of(log) as reader:
        chunks = reader.chunks(4096, lambda: log.end_lsn, names, kinds=DATA)
        assert [record.group for record in next(chunks)] == ["#1"]
        names.append("orders")
        assert [record.group for record in next(chunks)] == ["orders"]


def test_a_record_larger_than_the_buffer_isread() -> None:
    log = SmallLog(MemoryDirectory(), segment_size=64 * 1024)
    log.begin()
    for size in (1, 30_000, 2, 9_000):
        log.put(b"x" * size)
    for copy in (True, False):
        with reader_of(log, chunk_size=64) as reader:
            assert facts(read(reader, 4096, log.end_lsn, copy=copy)) == log.records


# The limit.


def test_the_limit_is_asked_again_only_when_it_is_reached() -> None:
    log = long_log()
    limits: Iterator[int] = iter([log.records[3][0], log.records[5][0], log.end_lsn, log.end_lsn])
    asked = []

    def limit() -> int:
        asked.append(next(limits))
        return asked[-1]

    with reader_of(log) as reader:
        seen = []
        for chunk in reader.chunks(4096, limit, NAMES, kinds=DATA):
            for record in chunk:
                assert record.lsn < asked[-1]
            seen += chunk
    assert facts(seen) == log.records
    assert len(asked) == 4


def test_at_the_limit_it_ends_and_can_go_on_from_there(log: SmallLog) -> None:
    with reader_of(log) as reader:
        first = read(reader, 4096, log.records[2][0])
        rest = read(reader, reader.next_lsn, log.end_lsn)
    assert facts(first + rest) == log.records


@pytest.mark.parametrize("start_lsn", [8, 1_000_000])
def test_a_start_at_or_above_the_limit_gives_nothing(log: SmallLog, start_lsn: int) -> None:
    with reader_of(log) as reader:
        assert read(reader, start_lsn, 8) == []


@pytest.mark.parametrize("size", [0, 100, 100_000])
def test_what_is_loaded_must_be_of_a_wanted_kind_however_large_it_is(
    log: SmallLog, size: int
) -> None:
    log.seal()
    log.begin()
    lsn = log.put(bytes(size), kind=Kind.ABORT)
    log.seal()
    log.begin()
    log.put(b"what comes behind it is another segment's")
    with reader_of(log) as reader:
        with pytest.raises(InvalidLSN):
            reader.load(lsn, log.end_lsn, NAMES, kinds=DATA)
        assert reader.load(lsn, log.end_lsn, NAMES, kinds=1 << Kind.ABORT).payload == bytes(size)
