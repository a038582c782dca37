"""What reading refuses, and that it names the place after all that is sound."""

from __future__ import annotations

import pytest

from logstore.errors import (
    Corruption,
    IncompatibleFormat,
    InvalidLSN,
    NotFound,
    ReadFailed,
)
from logstore.segments.reader import SegmentReader
from logstore.segments.segment import segment_name
from tests.memory_directory import MemoryDirectory
from tests.segments.reading import long_log, read, read_until_error, reader_of
from tests.segments.small_log import (
    UUID,
    SmallLog,
    cut,
    facts,
    flip,
    read_all,
    three_segments,
)


@pytest.fixture
def log() -> SmallLog:
    return three_segments(MemoryDirectory())


def test_a_start_below_the_first_segment_is_not_found() -> None:
    log = long_log(3)
    log.directory.unlink(segment_name(4096))
    with reader_of(log) as reader, pytest.raises(NotFound, match=r"the first are at \d+"):
        read(reader, 4096, log.end_lsn)


def test_an_empty_directory_has_no_records() -> None:
    with (
        SegmentReader(MemoryDirectory(), UUID) as reader,
        pytest.raises(NotFound, match="there are none"),
    ):
        read(reader, 4096, 8192)


def test_a_start_within_a_record_is_no_position(log: SmallLog) -> None:
    boundaries = {lsn for lsn, _, _ in log.records}
    with reader_of(log) as reader:
        for start_lsn in range(4096, log.end_lsn, 8):
            if start_lsn not in boundaries:
                with pytest.raises(InvalidLSN, match=f"no frame begins at LSN {start_lsn}"):
                    read(reader, start_lsn, log.end_lsn)


def test_a_start_that_is_no_multiple_of_eight_is_no_position(log: SmallLog) -> None:
    with reader_of(log) as reader, pytest.raises(InvalidLSN):
        read(reader, 4100, log.end_lsn)


@pytest.mark.parametrize("index", range(6))
def test_a_damaged_frame_is_told_with_its_place_after_all_before_it(
    log: SmallLog, index: int
) -> None:
    lsn = log.records[index][0]
    base_lsn = [4096, 4264, 4336][index // 2]
    flip(log.directory, segment_name(base_lsn), 4096 + lsn - base_lsn + 25, 1)
    seen, error = read_until_error(log, Corruption)
    assert facts(seen) == log.records[:index]
    place = (segment_name(base_lsn), 4096 + lsn - base_lsn, lsn)
    assert (error.segment, error.offset, error.lsn) == place


def test_a_start_at_a_damaged_frame_is_corruption_and_not_a_wrong_position(log: SmallLog) -> None:
    lsn = log.records[1][0]
    flip(log.directory, segment_name(4096), lsn + 25, 1)
    with reader_of(log) as reader, pytest.raises(Corruption) as caught:
        read(reader, lsn, log.end_lsn)
    assert caught.value.lsn == lsn


def test_a_start_behind_damage_that_hides_whether_it_is_one_names_the_damage(
    log: SmallLog,
) -> None:
    flip(log.directory, segment_name(4096), 4096 + 25, 1)
    with reader_of(log) as reader, pytest.raises(Corruption) as caught:
        read(reader, log.records[1][0] + 8, log.end_lsn)
    assert caught.value.lsn == 4096


@pytest.mark.parametrize("size", [4096, 4100, 4140, 4200])
def test_a_file_that_ends_below_the_limit_is_corruption(log: SmallLog, size: int) -> None:
    cut(log.directory, log.active, size)
    seen, error = read_until_error(log, Corruption)
    assert error.segment == log.active
    assert facts(seen) == [r for r in log.records if r[0] < (error.lsn or 0)]


def test_a_limit_beyond_the_last_segment_is_corruption_and_not_the_end(log: SmallLog) -> None:
    log.seal()
    with reader_of(log) as reader, pytest.raises(Corruption) as caught:
        read(reader, 4096, log.end_lsn + 80)
    assert caught.value.lsn == log.end_lsn


def test_a_segment_of_another_log_is_corruption(log: SmallLog) -> None:
    with SegmentReader(log.directory, bytes(16)) as reader, pytest.raises(Corruption):
        read(reader, 4096, log.end_lsn)
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
    seen, error = read_until_error(log, IncompatibleFormat)
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
