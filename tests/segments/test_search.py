"""Finding in logs with many records: points, growing segments, and the clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstore.errors import Compacted, Corruption, NotFound, NotWritten
from logstore.format import Kind
from logstore.segments.search import Finder
from logstore.segments.segment import segment_name
from tests.memory_directory import MemoryDirectory
from tests.segments.small_log import UUID, SmallLog, flip

START_NS = 1_700_000_000_000_000_000


def _log() -> SmallLog:
    log = SmallLog(MemoryDirectory())
    log.begin()
    return log


def _finder(log: SmallLog) -> Finder:
    return Finder(log.directory, UUID, lambda: log.end_lsn)


def _filled(segments: int, each: int) -> tuple[SmallLog, dict[tuple[int, int], int]]:
    """Make a log whose groups take turns; the last segment is not sealed."""
    log = _log()
    where = {}
    for number in range(segments):
        if number:
            log.seal()
            log.begin()
        for count in range(each):
            group = 0 if count % 3 else 1
            lsn = log.put(b"x" * (count % 50), group=group)
            where[group, log.seq[group]] = lsn
    return log, where


def test_every_record_of_some_segments_is_found() -> None:
    log, where = _filled(5, 700)
    finder = _finder(log)
    for (group, seq), lsn in where.items():
        assert finder.lsn_of_seq(group, seq) == lsn
        assert (
            finder.load_seq(group, seq, ["default", "orders"]).group == ("default", "orders")[group]
        )


def test_a_lookup_reads_few_footers_however_many_segments_there_are() -> None:
    log, where = _filled(60, 3)
    opened = 0

    def count(call: str) -> None:
        nonlocal opened
        opened += call == "open_read"

    finder = _finder(log)
    finder.lsn_of_seq(0, 1)
    log.directory.fault = count  # type: ignore[attr-defined]
    assert _finder(log).lsn_of_seq(0, 61) == where[0, 61]
    assert 0 < opened <= 12
    assert log.directory.open_count == 0  # type: ignore[attr-defined]


def test_records_that_come_later_are_found_and_read_only_once() -> None:
    log, where = _filled(1, 10)
    finder = _finder(log)
    read = 0

    def count(call: str) -> None:
        nonlocal read
        read += call == "read"

    for _ in range(3000):
        lsn = log.put(b"more")
        where[0, log.seq[0]] = lsn
    assert finder.lsn_of_seq(0, 3000) == where[0, 3000]
    log.directory.fault = count  # type: ignore[attr-defined]
    before = read
    assert finder.lsn_of_seq(0, 2500) == where[0, 2500]
    assert read - before <= 1
    log.directory.fault = None  # type: ignore[attr-defined]
    with pytest.raises(NotWritten):
        finder.lsn_of_seq(0, log.seq[0] + 1)
    log.seal()
    log.begin()
    lsn = log.put(b"in the next segment")
    assert finder.lsn_of_seq(0, log.seq[0]) == lsn
    assert finder.segment_of_seq(0, 1) == 4096
    assert finder.segment_of_seq(0, log.seq[0]) == lsn


def test_dropped_records_are_told_from_those_that_never_were() -> None:
    log, where = _filled(4, 10)
    finder = _finder(log)
    finder.lsn_of_seq(0, 1)
    log.directory.unlink(segment_name(log.manifest.sealed[1].base_lsn))
    first, last = log.manifest.sealed[1].base_lsn, log.manifest.sealed[1].end_lsn
    for (group, seq), lsn in where.items():
        if first <= lsn < last:
            with pytest.raises(Compacted):
                finder.load_seq(group, seq, [])
            with pytest.raises(Compacted):
                finder.segment_of_seq(group, seq)
        else:
            assert finder.lsn_of_seq(group, seq) == lsn
    for group, seq in ((0, 0), (0, -1), (0, 999), (5, 1)):
        with pytest.raises(NotWritten):
            finder.lsn_of_seq(group, seq)


def test_a_damaged_frame_on_the_way_is_corruption_with_its_place() -> None:
    log, where = _filled(2, 100)
    lsn = where[0, 20]
    flip(log.directory, segment_name(4096), lsn, 3)
    with pytest.raises(Corruption) as caught:
        _finder(log).lsn_of_seq(0, 30)
    assert caught.value.lsn == lsn
    assert _finder(log).lsn_of_seq(0, 65) == where[0, 65]


def test_an_empty_directory_has_nothing_to_find() -> None:
    finder = Finder(MemoryDirectory(), UUID, lambda: 4096)
    with pytest.raises(NotWritten):
        finder.lsn_of_seq(0, 1)
    with pytest.raises(NotFound):
        finder.lsn_at(START_NS)


@given(st.lists(st.tuples(st.sampled_from(("put", "mark", "rotate")), st.integers(0, 3))))
def test_a_time_leads_to_the_latest_place_that_the_clock_readings_prove(
    steps: list[tuple[str, int]],
) -> None:
    log = _log()
    readings = [(log.now_ns, log.end_lsn)]
    records = []
    for kind, elapsed in steps:
        log.now_ns += elapsed
        if kind == "put":
            records.append((log.now_ns, log.put(b"x")))
        elif kind == "mark":
            readings.append((log.now_ns, log.mark(log.now_ns)))
        elif log.header is not None and log.end_lsn > log.header.base_lsn:
            log.seal()
            log.begin()
            readings.append((log.now_ns, log.end_lsn))
    finder = _finder(log)
    for time_ns in range(START_NS - 1, log.now_ns + 2):
        found = finder.lsn_at(time_ns)
        assert found == max([4096, *(lsn for at, lsn in readings if at <= time_ns)])
        assert not any(lsn < found for at, lsn in records if at > time_ns)


def test_a_mark_that_the_footer_left_out_is_found_by_a_scan() -> None:
    log = _log()
    marks = [log.mark(START_NS + 10 * number) for number in range(1, 2500)]
    log.seal()
    assert log.footer is not None
    assert len(log.footer.times) < 1000
    finder = _finder(log)
    assert [finder.lsn_at(START_NS + 10 * n + 5) for n in range(1, 2500)] == marks


def test_a_mark_that_has_just_been_written_is_found() -> None:
    log = _log()
    log.put(b"x")
    finder = _finder(log)
    for number in range(1, 50):
        lsn = log.mark(START_NS + number)
        assert finder.lsn_at(START_NS + number) == lsn


@pytest.mark.parametrize("sealed", [False, True])
def test_the_first_seq_is_looked_for_in_segments_begun_since_the_last_time(sealed: bool) -> None:
    log = _log()
    finder = _finder(log)
    assert finder.first_seq_from(1, log.put(b"1", group=1)) == 1
    log.seal()
    if sealed:
        assert finder.first_seq_from(1, log.end_lsn) == 2
    log.begin()
    log.put(b"2", group=1)
    log.put(b"3", group=1)
    assert finder.first_seq_from(1, log.put(b"4", group=1)) == 4
    assert finder.first_seq_from(1, log.end_lsn) == 5


def test_the_first_seq_is_known_although_all_that_came_before_was_dropped() -> None:
    log = _log()
    for payload in (b"1", b"2"):
        log.put(payload, group=1)
    log.seal()
    first = log.manifest.sealed[0]
    log.begin()
    lsn = log.put(b"other", group=5)
    log.seal()
    log.begin()
    log.directory.unlink(segment_name(first.base_lsn))
    assert _finder(log).first_seq_from(1, lsn) == 3


@pytest.mark.parametrize("sealed", [True, False])
def test_the_first_seq_from_a_position_on(sealed: bool) -> None:
    log, where = _filled(3, 400)
    if sealed:
        log.seal()
    finder = _finder(log)
    ends = {one.base_lsn: one.end_lsn for one in log.manifest.sealed}
    for group in (0, 1, 5):
        for lsn in [*where.values(), *ends]:
            base = max(b for b in [4096, *ends.values()] if b <= lsn and b != log.end_lsn)
            later = [s for (g, s), at in where.items() if g == group and at >= lsn]
            assert finder.first_seq_from(group, lsn) == (min(later) if later else _next(log, group))
            assert base <= lsn


def _next(log: SmallLog, group: int) -> int:
    return log.seq.get(group, 0) + 1


def test_parts_of_transactions_are_records_too() -> None:
    log = _log()
    lsn = log.put(b"12345678part", kind=Kind.TXN_PART)
    assert _finder(log).load_seq(0, 1, ["default"]).lsn == lsn


def test_a_seq_that_a_segment_lost_at_its_end_was_never_written() -> None:
    log = _log()
    log.put(b"x")
    log.put(bytes(8), kind=Kind.ABORT)
    log.seq[0] += 3
    log.seal()
    log.begin()
    lsn = log.put(b"y")
    log.seal()
    finder = _finder(log)
    assert finder.lsn_of_seq(0, 6) == lsn
    for seq in (2, 3, 4, 5):
        with pytest.raises(NotWritten):
            finder.lsn_of_seq(0, seq)


def test_the_first_seq_from_a_place_in_a_segment_begun_since_the_last_look_is_found() -> None:
    log = SmallLog(MemoryDirectory())
    log.begin()
    log.put(b"one")
    finder = Finder(log.directory, UUID, lambda: log.end_lsn)
    assert finder.first_seq_from(0, log.end_lsn) == 2
    log.seal()
    log.begin()
    log.put(b"two")
    lsn = log.put(b"three")
    assert finder.first_seq_from(0, lsn) == 3
    assert finder.first_seq_from(0, log.end_lsn) == 4
