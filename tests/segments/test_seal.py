"""Sealing: what a footer learns from the frames, and in which order it reaches the disk."""

from __future__ import annotations

import pytest

from logstore.errors import Corruption, IncompatibleFormat
from logstore.format import Kind, SegmentHeader
from logstore.segments.footer import GroupRange, TimePoint, read_footer
from logstore.segments.points import Points
from logstore.segments.seal import seal
from tests.memory_directory import MemoryDirectory
from tests.segments.small_log import SmallLog, change, content, contents, flip


def _log(segment_size: int = 8192) -> SmallLog:
    log = SmallLog(MemoryDirectory(), segment_size=segment_size)
    log.begin()
    return log


def _sealed(log: SmallLog) -> None:
    log.seal()
    assert log.footer is not None
    assert read_footer(log.directory, log.active) == log.footer


def test_a_sealed_segment_ends_right_behind_its_footer() -> None:
    log = _log()
    log.put(b"one")
    _sealed(log)
    assert log.footer is not None
    frames_end = 4096 + log.end_lsn - 4096
    data = content(log.directory, log.active)
    assert data[frames_end:] == log.footer.encode()


def test_it_counts_records_by_group_with_every_64th_as_a_point() -> None:
    log = _log(64 * 1024)
    first = [log.put(b"x") for _ in range(130)]
    log.put(b"orders", kind=Kind.GROUP_NAME, group=1)
    second = log.put(b"y", group=1)
    _sealed(log)
    assert log.footer is not None
    assert log.footer.record_count == 131
    assert log.footer.groups == (
        GroupRange(0, "default", 1, 130, 130, Points((n + 1, first[n]) for n in (0, 64, 128))),
        GroupRange(1, "orders", 1, 1, 1, Points([(1, second)])),
    )


def test_it_knows_all_groups_of_the_segments_before() -> None:
    log = _log()
    log.put(b"orders", kind=Kind.GROUP_NAME, group=1)
    log.put(b"x", group=1)
    log.put(b"x", group=1)
    log.seal()
    log.begin()
    log.put(b"y")
    _sealed(log)
    assert log.footer is not None
    assert log.footer.groups == (
        GroupRange(0, "default", 1, 1, 1, Points([(1, log.end_lsn - 40)])),
        GroupRange(1, "orders", 0, 2, 0),
    )
    assert log.footer.names() == ["default", "orders"]


def test_the_default_group_is_known_before_its_first_record() -> None:
    log = _log()
    log.mark(5)
    _sealed(log)
    assert log.footer is not None
    assert log.footer.groups == (GroupRange(0, "default"),)


def test_a_group_without_a_name_is_called_by_its_id() -> None:
    log = _log()
    log.put(b"x", group=3)
    _sealed(log)
    assert log.footer is not None
    assert log.footer.names() == ["default", "#1", "#2", "#3"]


def test_marks_become_times_and_many_are_thinned() -> None:
    log = _log(256 * 1024)
    lsns = [log.mark(1000 + number) for number in range(1025)]
    _sealed(log)
    assert log.footer is not None
    assert len(log.footer.times) == 513
    assert log.footer.times[0] == TimePoint(1000, lsns[0])
    assert log.footer.times[-1] == TimePoint(2024, lsns[-1])


def test_sealing_twice_changes_nothing() -> None:
    log = _log()
    log.put(b"one")
    log.seal()
    before = contents(log.directory)
    assert seal(log.directory, log.active, log.end_lsn, None) == log.footer
    assert contents(log.directory) == before


def test_the_frames_are_durable_before_there_is_a_footer_and_then_so_is_it() -> None:
    log = _log()
    log.put(b"one")
    assert isinstance(log.directory, MemoryDirectory)
    calls: list[str] = []
    log.directory.fault = calls.append
    seal(log.directory, log.active, log.end_lsn, None)
    assert [call for call in calls if not call.startswith(("read", "open"))] == [
        "sync_file",
        "write",
        "truncate",
        "sync_file",
    ]


def test_frames_that_do_not_reach_the_end_are_corruption_and_stay_as_they_are() -> None:
    log = _log()
    log.put(b"one")
    lsn = log.put(b"two")
    flip(log.directory, log.active, lsn + 33, 0)
    before = contents(log.directory)
    with pytest.raises(Corruption) as caught:
        seal(log.directory, log.active, log.end_lsn, None)
    assert (caught.value.segment, caught.value.offset, caught.value.lsn) == (log.active, lsn, lsn)
    assert contents(log.directory) == before


def test_a_batch_without_its_end_is_not_sealed() -> None:
    log = _log()
    log.put(b"one")
    batch_lsn = log.end_lsn
    log.batch(b"two", b"three", whole=False)
    with pytest.raises(Corruption) as caught:
        seal(log.directory, log.active, log.end_lsn, None)
    assert caught.value.lsn == batch_lsn


@pytest.mark.parametrize(
    ("payload", "kind", "error"),
    [
        (b"\xff\xfe", Kind.GROUP_NAME, Corruption),
        (b"short", Kind.MARK, Corruption),
        (b"", 77, IncompatibleFormat),
    ],
    ids=["a name that is no text", "a mark that is too short", "an unknown kind"],
)
def test_a_valid_frame_that_makes_no_sense_is_refused_with_its_place(
    payload: bytes, kind: int, error: type[Corruption | IncompatibleFormat]
) -> None:
    log = _log()
    log.put(b"one")
    lsn = log.put(payload, kind=kind, group=1)
    with pytest.raises(error) as caught:
        seal(log.directory, log.active, log.end_lsn, None)
    assert (caught.value.segment, caught.value.offset, caught.value.lsn) == (log.active, lsn, lsn)


def test_an_unknown_kind_that_may_be_ignored_is_passed_over() -> None:
    log = _log()
    log.put(b"news", kind=0x80 | 77)
    log.put(b"one")
    _sealed(log)
    assert log.footer is not None
    assert log.footer.record_count == 1


def test_a_segment_that_may_only_be_read_is_not_sealed() -> None:
    log = _log()
    assert log.header is not None
    newer = SegmentHeader(
        uuid=log.header.uuid, epoch=1, salt=log.salt, base_lsn=4096, read_only_compatible=1
    )
    change(log.directory, log.active, 0, newer.encode())
    with pytest.raises(IncompatibleFormat):
        seal(log.directory, log.active, 4096, None)


def test_a_record_larger_than_the_survey_reads_at_once_is_sealed() -> None:
    log = _log(8 * 1024 * 1024)
    log.put(b"small")
    log.put(b"\1" * 3_000_000)
    log.put(b"small")
    _sealed(log)
    assert log.footer is not None
    assert log.footer.record_count == 3
