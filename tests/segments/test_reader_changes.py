"""Reading while the log rotates, loses segments, and has gaps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from logstore.errors import (
    Compacted,
    NotFound,
)
from logstore.segments.segment import segment_name
from tests.memory_directory import MemoryDirectory
from tests.segments.reading import long_log, read, reader_of
from tests.segments.small_log import (
    DATA,
    NAMES,
    SmallLog,
    change,
    facts,
    three_segments,
)


@pytest.fixture
def log() -> SmallLog:
    return three_segments(MemoryDirectory())


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

    with reader_of(log, chunk_size=4096) as reader:
        chunks = reader.chunks(4096, grow, NAMES, kinds=DATA)
        seen = [record for chunk in chunks for record in chunk]
    assert facts(seen) == log.records
    assert len(seen) == 30


def test_a_segment_that_is_sealed_while_it_is_read_ends_where_it_ended() -> None:
    log = three_segments(MemoryDirectory())
    with reader_of(log) as reader:
        chunks = reader.chunks(4096, lambda: log.end_lsn, NAMES, kinds=DATA)
        seen = [*next(chunks), *next(chunks), *next(chunks)]
        log.put(b"seven")
        log.seal()
        log.begin()
        log.put(b"eight")
        seen += [record for chunk in chunks for record in chunk]
    assert facts(seen) == log.records


def test_segments_that_are_removed_while_they_are_read_can_be_read_to_their_end() -> None:
    log = long_log(6)
    with reader_of(log, chunk_size=32) as reader:
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
    log = long_log(6)
    lsn = log.records[1][0]
    with reader_of(log) as reader:
        read(reader, lsn, lsn + 40)
        for one in log.manifest.sealed[:4]:
            log.directory.unlink(segment_name(one.base_lsn))
        with pytest.raises(NotFound):
            read(reader, log.records[4][0], log.end_lsn)


def test_a_hole_that_compaction_made_is_passed_over() -> None:
    log = long_log(6)
    hole = log.manifest.sealed[2]
    log.directory.unlink(segment_name(hole.base_lsn))
    wanted = [r for r in log.records if not hole.base_lsn <= r[0] < hole.end_lsn]
    with reader_of(log) as reader:
        assert facts(read(reader, 4096, log.end_lsn)) == wanted
        inside = [r for r in wanted if r[0] > hole.base_lsn]
        assert facts(read(reader, hole.base_lsn + 8, log.end_lsn)) == inside


def test_loading_from_a_hole_that_compaction_made_says_that_it_was_dropped() -> None:
    log = long_log(6)
    hole = log.manifest.sealed[2]
    gone = [lsn for lsn, _, _ in log.records if hole.base_lsn <= lsn < hole.end_lsn]
    log.directory.unlink(segment_name(hole.base_lsn))
    with reader_of(log) as reader:
        for lsn in gone:
            with pytest.raises(Compacted):
                reader.load(lsn, log.end_lsn, NAMES, kinds=DATA)


def test_a_segment_that_goes_between_listing_and_opening_is_passed_over() -> None:
    log = long_log(6)
    with reader_of(log) as reader:
        read(reader, log.records[-1][0], log.end_lsn)  # It has listed the directory now.
        first, second = log.manifest.sealed[0], log.manifest.sealed[1]
        log.directory.unlink(segment_name(second.base_lsn))
        wanted = [r for r in log.records if not second.base_lsn <= r[0] < second.end_lsn]
        assert facts(read(reader, 4096, log.end_lsn)) == wanted
        log.directory.unlink(segment_name(first.base_lsn))
        with pytest.raises(NotFound):
            read(reader, 4096, log.end_lsn)


def test_a_reader_with_an_old_listing_finds_a_start_in_a_new_segment() -> None:
    log = long_log(2)
    with reader_of(log) as reader:
        read(reader, 4096, log.end_lsn)
        for number in range(3):
            log.seal()
            log.begin()
            lsn = log.put(b"new %d" % number)
            log.put(b"newer")
        assert len(read(reader, lsn, log.end_lsn)) == 2


def test_a_gap_between_epochs_is_passed_over() -> None:
    log = three_segments(MemoryDirectory())
    log.seal()
    gap_lsn = log.end_lsn
    log.end_lsn += 800
    log.begin()
    assert log.header is not None
    change(log.directory, log.active, 0, replace(log.header, previous_end_lsn=gap_lsn).encode())
    log.put(b"seven")
    with reader_of(log) as reader:
        assert facts(read(reader, 4096, log.end_lsn)) == log.records
        for start_lsn in (gap_lsn, gap_lsn + 8, gap_lsn + 800):
            assert facts(read(reader, start_lsn, log.end_lsn)) == log.records[6:]


def test_two_iterations_of_one_reader_do_not_disturb_each_other() -> None:
    log = long_log(6)
    with reader_of(log, chunk_size=64) as reader:
        one = reader.chunks(4096, lambda: log.end_lsn, NAMES, kinds=DATA)
        other = reader.chunks(log.records[-1][0], lambda: log.end_lsn, NAMES, kinds=DATA)
        seen = list(next(one))
        assert facts(next(other)) == log.records[-1:]
        seen += [record for chunk in one for record in chunk]
    assert facts(seen) == log.records


def test_it_closes_what_it_opened() -> None:
    log = long_log(4)
    assert isinstance(log.directory, MemoryDirectory)
    with reader_of(log) as reader:
        read(reader, 4096, log.end_lsn)
        assert log.directory.open_count == 1
    assert log.directory.open_count == 0
    reader.close()
