"""Reading records from segments: ranges, limits, rotation, removal, and damage with its place."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace

import pytest

from logstore.errors import (
    Corruption,
    IncompatibleFormat,
    InvalidLSN,
    LogstoreError,
    NotFound,
    ReadFailed,
)
from logstore.format import Kind
from logstore.frames import Record
from logstore.segments.reader import SegmentReader
from logstore.segments.segment import segment_name
from tests.memory_directory import MemoryDirectory
from tests.segments.small_log import (
    DATA,
    NAMES,
    UUID,
    SmallLog,
    change,
    cut,
    facts,
    flip,
    read_all,
    three_segments,
)


@pytest.fixture
def log() -> SmallLog:
    return three_segments(MemoryDirectory())


def _long(count: int = 9) -> SmallLog:
    """Make a log of many small sealed segments and an active one."""
    log = SmallLog(MemoryDirectory())
    for number in range(count):
        if log.header is not None:
            log.seal()
        log.begin()
        for more in range(1 + number % 3):
            log.put(b"%d.%d" % (number, more))
    return log


def _reader(log: SmallLog, *, chunk_size: int = 65536) -> SegmentReader:
    return SegmentReader(log.directory, UUID, chunk_size=chunk_size)


def _read(
    reader: SegmentReader, start_lsn: int, end_lsn: int, *, kinds: int = DATA, copy: bool = True
) -> list[Record]:
    chunks = reader.chunks(start_lsn, lambda: end_lsn, NAMES, kinds=kinds, copy=copy)
    return [record for chunk in chunks for record in chunk]


def _until_error(log: SmallLog, kind: type[LogstoreError]) -> tuple[list[Record], LogstoreError]:
    """Read all; return the records that were given before the error, and the error."""
    seen: list[Record] = []

    def read() -> None:
        with _reader(log) as reader:
            for chunk in reader.chunks(4096, lambda: log.end_lsn, NAMES, kinds=DATA):
                seen.extend(chunk)

    with pytest.raises(kind) as caught:
        read()
    return seen, caught.value


@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize("chunk_size", [32, 100, 4096, 65536])
def test_all_records_come_in_order_whatever_is_read_at_once(chunk_size: int, copy: bool) -> None:
    log = _long()
    with _reader(log, chunk_size=chunk_size) as reader:
        records = _read(reader, 4096, log.end_lsn, copy=copy)
        assert reader.next_lsn == log.end_lsn
    assert facts(records) == log.records
    assert [record.seq for record in records] == list(range(1, len(records) + 1))


def test_reading_may_start_at_any_record_and_end_at_any(log: SmallLog) -> None:
    lsns = [lsn for lsn, _, _ in log.records] + [log.end_lsn]
    with _reader(log) as reader:
        for first, start_lsn in enumerate(lsns):
            for last, end_lsn in enumerate(lsns):
                assert facts(_read(reader, start_lsn, end_lsn)) == log.records[first:last]


def test_payloads_are_bytes_of_their_own_or_views(log: SmallLog) -> None:
    with _reader(log) as reader:
        assert {type(record.payload) for record in _read(reader, 4096, log.end_lsn)} == {bytes}
        views = _read(reader, 4096, log.end_lsn, copy=False)
        assert {type(record.payload) for record in views} == {memoryview}
        _read(reader, 4096, log.end_lsn)
    gc.collect()
    assert facts(views) == log.records


def test_only_the_wanted_kinds_come(log: SmallLog) -> None:
    log.mark(5)
    log.put(b"last")
    with _reader(log) as reader:
        marks = _read(reader, 4096, log.end_lsn, kinds=1 << Kind.MARK)
        assert [record.kind for record in marks] == [Kind.MARK]
        assert len(_read(reader, 4096, log.end_lsn)) == 7
        assert _read(reader, 4096, log.end_lsn, kinds=0) == []
        assert reader.next_lsn == log.end_lsn


def test_group_names_may_grow_while_it_reads() -> None:
    log = SmallLog(MemoryDirectory())
    log.begin()
    log.put(b"a", group=1)
    log.seal()
    log.begin()
    log.put(b"b", group=1)
    names = ["default"]
    with _reader(log) as reader:
        chunks = reader.chunks(4096, lambda: log.end_lsn, names, kinds=DATA)
        assert [record.group for record in next(chunks)] == ["#1"]
        names.append("orders")
        assert [record.group for record in next(chunks)] == ["orders"]


def test_a_record_larger_than_the_buffer_is_read() -> None:
    log = SmallLog(MemoryDirectory(), segment_size=64 * 1024)
    log.begin()
    for size in (1, 30_000, 2, 9_000):
        log.put(b"x" * size)
    for copy in (True, False):
        with _reader(log, chunk_size=64) as reader:
            assert facts(_read(reader, 4096, log.end_lsn, copy=copy)) == log.records


# The limit.


def test_the_limit_is_asked_again_only_when_it_is_reached() -> None:
    log = _long()
    limits: Iterator[int] = iter([log.records[3][0], log.records[5][0], log.end_lsn, log.end_lsn])
    asked = []

    def limit() -> int:
        asked.append(next(limits))
        return asked[-1]

    with _reader(log) as reader:
        seen = []
        for chunk in reader.chunks(4096, limit, NAMES, kinds=DATA):
            for record in chunk:
                assert record.lsn < asked[-1]
            seen += chunk
    assert facts(seen) == log.records
    assert len(asked) == 4


def test_at_the_limit_it_ends_and_can_go_on_from_there(log: SmallLog) -> None:
    with _reader(log) as reader:
        first = _read(reader, 4096, log.records[2][0])
        rest = _read(reader, reader.next_lsn, log.end_lsn)
    assert facts(first + rest) == log.records


@pytest.mark.parametrize("start_lsn", [8, 1_000_000])
def test_a_start_at_or_above_the_limit_gives_nothing(log: SmallLog, start_lsn: int) -> None:
    with _reader(log) as reader:
        assert _read(reader, start_lsn, 8) == []


# While the log changes.


def test_it_follows_a_growing_and_rotating_log() -> None:
    log = SmallLog(MemoryDirectory())
    log.begin()
    log.put(b"0")
    number = 0

    def grow() -> int:
        nonlocal number
        number += 1
        if number < 30:
            if number % 4 == 0:
                log.begin(named=False)  # The old one is not sealed yet.
            log.put(b"%d" % number)
        return log.end_lsn

    with _reader(log, chunk_size=4096) as reader:
        chunks = reader.chunks(4096, grow, NAMES, kinds=DATA)
        seen = [record for chunk in chunks for record in chunk]
    assert facts(seen) == log.records
    assert len(seen) == 30


def test_a_segment_that_is_sealed_while_it_is_read_ends_where_it_ended() -> None:
    log = three_segments(MemoryDirectory())
    with _reader(log) as reader:
        chunks = reader.chunks(4096, lambda: log.end_lsn, NAMES, kinds=DATA)
        seen = [*next(chunks), *next(chunks), *next(chunks)]
        log.put(b"seven")
        log.seal()
        log.begin()
        log.put(b"eight")
        seen += [record for chunk in chunks for record in chunk]
    assert facts(seen) == log.records


def test_segments_that_are_removed_while_they_are_read_can_be_read_to_their_end() -> None:
    log = _long(6)
    with _reader(log, chunk_size=32) as reader:
        chunks = reader.chunks(log.records[1][0], lambda: log.end_lsn, NAMES, kinds=DATA)
        seen = list(next(chunks))
        sealed = [one.base_lsn for one in log.manifest.sealed]
        for base_lsn in sealed[:4]:
            log.directory.unlink(segment_name(base_lsn))
        seen += [record for chunk in chunks for record in chunk]
    # The rest of the open segment, nothing of the removed ones, all of the others.
    wanted = [r for r in log.records if sealed[1] <= r[0] < sealed[2] or r[0] >= sealed[4]]
    assert facts(seen) == wanted
    assert len(seen) == 2 + 2 + 3


def test_a_new_reading_does_not_begin_in_what_is_gone() -> None:
    log = _long(6)
    lsn = log.records[1][0]
    with _reader(log) as reader:
        _read(reader, lsn, lsn + 40)
        for one in log.manifest.sealed[:4]:
            log.directory.unlink(segment_name(one.base_lsn))
        with pytest.raises(NotFound):
            _read(reader, log.records[4][0], log.end_lsn)


def test_a_hole_that_compaction_made_is_passed_over() -> None:
    log = _long(6)
    hole = log.manifest.sealed[2]
    log.directory.unlink(segment_name(hole.base_lsn))
    wanted = [r for r in log.records if not hole.base_lsn <= r[0] < hole.end_lsn]
    with _reader(log) as reader:
        assert facts(_read(reader, 4096, log.end_lsn)) == wanted
        inside = [r for r in wanted if r[0] > hole.base_lsn]
        assert facts(_read(reader, hole.base_lsn + 8, log.end_lsn)) == inside


def test_a_segment_that_goes_between_listing_and_opening_is_passed_over() -> None:
    log = _long(6)
    with _reader(log) as reader:
        _read(reader, log.records[-1][0], log.end_lsn)  # It has listed the directory now.
        first, second = log.manifest.sealed[0], log.manifest.sealed[1]
        log.directory.unlink(segment_name(second.base_lsn))
        wanted = [r for r in log.records if not second.base_lsn <= r[0] < second.end_lsn]
        assert facts(_read(reader, 4096, log.end_lsn)) == wanted
        log.directory.unlink(segment_name(first.base_lsn))
        with pytest.raises(NotFound):
            _read(reader, 4096, log.end_lsn)


def test_a_reader_with_an_old_listing_finds_a_start_in_a_new_segment() -> None:
    log = _long(2)
    with _reader(log) as reader:
        _read(reader, 4096, log.end_lsn)
        for number in range(3):
            log.seal()
            log.begin()
            lsn = log.put(b"new %d" % number)
            log.put(b"newer")
        assert len(_read(reader, lsn, log.end_lsn)) == 2


def test_a_gap_between_epochs_is_passed_over() -> None:
    log = three_segments(MemoryDirectory())
    log.seal()
    gap_lsn = log.end_lsn
    log.end_lsn += 800
    log.begin()
    assert log.header is not None
    change(log.directory, log.active, 0, replace(log.header, previous_end_lsn=gap_lsn).encode())
    log.put(b"seven")
    with _reader(log) as reader:
        assert facts(_read(reader, 4096, log.end_lsn)) == log.records
        for start_lsn in (gap_lsn, gap_lsn + 8, gap_lsn + 800):
            assert facts(_read(reader, start_lsn, log.end_lsn)) == log.records[6:]


def test_two_iterations_of_one_reader_do_not_disturb_each_other() -> None:
    log = _long(6)
    with _reader(log, chunk_size=64) as reader:
        one = reader.chunks(4096, lambda: log.end_lsn, NAMES, kinds=DATA)
        other = reader.chunks(log.records[-1][0], lambda: log.end_lsn, NAMES, kinds=DATA)
        seen = list(next(one))
        assert facts(next(other)) == log.records[-1:]
        seen += [record for chunk in one for record in chunk]
    assert facts(seen) == log.records


def test_it_closes_what_it_opened() -> None:
    log = _long(4)
    assert isinstance(log.directory, MemoryDirectory)
    with _reader(log) as reader:
        _read(reader, 4096, log.end_lsn)
        assert log.directory.open_count == 1
    assert log.directory.open_count == 0
    reader.close()


# What is refused.


def test_a_start_below_the_first_segment_is_not_found() -> None:
    log = _long(3)
    log.directory.unlink(segment_name(4096))
    with _reader(log) as reader, pytest.raises(NotFound, match=r"the first are at \d+"):
        _read(reader, 4096, log.end_lsn)


def test_an_empty_directory_has_no_records() -> None:
    with (
        SegmentReader(MemoryDirectory(), UUID) as reader,
        pytest.raises(NotFound, match="there are none"),
    ):
        _read(reader, 4096, 8192)


def test_a_start_within_a_record_is_no_position(log: SmallLog) -> None:
    boundaries = {lsn for lsn, _, _ in log.records}
    with _reader(log) as reader:
        for start_lsn in range(4096, log.end_lsn, 8):
            if start_lsn not in boundaries:
                with pytest.raises(InvalidLSN, match=f"no frame begins at LSN {start_lsn}"):
                    _read(reader, start_lsn, log.end_lsn)


def test_a_start_that_is_no_multiple_of_eight_is_no_position(log: SmallLog) -> None:
    with _reader(log) as reader, pytest.raises(InvalidLSN):
        _read(reader, 4100, log.end_lsn)


@pytest.mark.parametrize("index", range(6))
def test_a_damaged_frame_is_told_with_its_place_after_all_before_it(
    log: SmallLog, index: int
) -> None:
    lsn = log.records[index][0]
    base_lsn = [4096, 4264, 4336][index // 2]
    flip(log.directory, segment_name(base_lsn), 4096 + lsn - base_lsn + 25, 1)
    seen, error = _until_error(log, Corruption)
    assert facts(seen) == log.records[:index]
    place = (segment_name(base_lsn), 4096 + lsn - base_lsn, lsn)
    assert (error.segment, error.offset, error.lsn) == place


def test_a_start_at_a_damaged_frame_is_corruption_and_not_a_wrong_position(log: SmallLog) -> None:
    lsn = log.records[1][0]
    flip(log.directory, segment_name(4096), lsn + 25, 1)
    with _reader(log) as reader, pytest.raises(Corruption) as caught:
        _read(reader, lsn, log.end_lsn)
    assert caught.value.lsn == lsn


def test_a_start_behind_damage_that_hides_whether_it_is_one_names_the_damage(
    log: SmallLog,
) -> None:
    flip(log.directory, segment_name(4096), 4096 + 25, 1)
    with _reader(log) as reader, pytest.raises(Corruption) as caught:
        _read(reader, log.records[1][0] + 8, log.end_lsn)
    assert caught.value.lsn == 4096


@pytest.mark.parametrize("size", [4096, 4100, 4140, 4200])
def test_a_file_that_ends_below_the_limit_is_corruption(log: SmallLog, size: int) -> None:
    cut(log.directory, log.active, size)
    seen, error = _until_error(log, Corruption)
    assert error.segment == log.active
    assert facts(seen) == [r for r in log.records if r[0] < (error.lsn or 0)]


def test_a_limit_beyond_the_last_segment_is_corruption_and_not_the_end(log: SmallLog) -> None:
    log.seal()
    with _reader(log) as reader, pytest.raises(Corruption) as caught:
        _read(reader, 4096, log.end_lsn + 80)
    assert caught.value.lsn == log.end_lsn


def test_a_segment_of_another_log_is_corruption(log: SmallLog) -> None:
    with SegmentReader(log.directory, bytes(16)) as reader, pytest.raises(Corruption):
        _read(reader, 4096, log.end_lsn)
    assert isinstance(log.directory, MemoryDirectory)
    assert log.directory.open_count == 0


def test_swapped_segments_are_corruption(log: SmallLog) -> None:
    assert isinstance(log.directory, MemoryDirectory)
    files = log.directory.files
    one, other = segment_name(4096), segment_name(4264)
    files[one], files[other] = files[other], files[one]
    with pytest.raises(Corruption, match="was renamed"):
        read_all(log.directory, log.end_lsn)


def test_a_frame_of_an_unknown_kind_is_incompatible_after_all_before_it(log: SmallLog) -> None:
    lsn = log.put(b"", kind=60)
    log.put(b"eight")
    seen, error = _until_error(log, IncompatibleFormat)
    assert facts(seen) == log.records[:6]
    assert (error.segment, error.lsn) == (log.active, lsn)


def test_a_frame_of_an_unknown_kind_that_may_be_ignored_is(log: SmallLog) -> None:
    log.put(b"", kind=0x80 | 60)
    log.put(b"eight")
    assert facts(read_all(log.directory, log.end_lsn)) == log.records


@pytest.mark.parametrize("call", ["names", "open_read", "read", "read_into"])
def test_a_disk_that_cannot_be_read_is_told_as_such(log: SmallLog, call: str) -> None:
    assert isinstance(log.directory, MemoryDirectory)

    def fail(name: str) -> None:
        if name == call:
            raise OSError(5, "Input/output error", "/memory/x")

    log.directory.fault = fail
    with pytest.raises(ReadFailed) as caught:
        read_all(log.directory, log.end_lsn)
    assert caught.value.errno == 5
    assert str(caught.value.path) == "/memory/x"
    assert log.directory.open_count == 0
