"""Recovery of torn tails: what is cut, and where the copies are."""

from __future__ import annotations

from logstore.format import Kind
from logstore.segments.footer import GroupRange
from logstore.segments.points import Points
from tests.memory_directory import MemoryDirectory
from tests.segments.recovering import readable, recovered_twice, refused
from tests.segments.small_log import (
    change,
    content,
    flip,
    three_segments,
)


def test_a_torn_frame_is_cut_and_a_copy_is_kept() -> None:
    log = three_segments(MemoryDirectory())
    lsn, _, payload = log.records[-1]
    offset = 4096 + lsn - 4336
    torn = bytearray(content(log.directory, log.active)[offset:].rstrip(b"\0"))
    torn[40:60] = bytes(20)
    change(log.directory, log.active, offset, bytes(torn))
    recovered = recovered_twice(log)
    assert readable(log, recovered) == log.records[:-1]
    assert recovered.end_lsn == lsn
    name = f"quarantine/{4336:020d}-{lsn:020d}-1.bytes"
    assert recovered.quarantined == (name,)
    assert content(log.directory, name) == bytes(torn)
    assert recovered.cut_bytes == len(torn) == 32 + len(payload)


def test_a_copy_that_is_there_already_is_never_overwritten() -> None:
    log = three_segments(MemoryDirectory())
    lsn = log.records[-1][0]
    name = f"quarantine/{4336:020d}-{lsn:020d}-1.bytes"
    log.directory.make_directory("quarantine")
    log.directory.close_file(log.directory.create(name))
    change(log.directory, name, 0, b"other")
    flip(log.directory, log.active, 4096 + lsn - 4336, 0)
    recovered = recovered_twice(log)
    second = name.replace(".bytes", ".2.bytes")
    assert recovered.quarantined == (second,)
    assert content(log.directory, name) == b"other"


def test_garbage_behind_the_last_frame_is_cut_and_nothing_else() -> None:
    log = three_segments(MemoryDirectory())
    change(log.directory, log.active, 6000, b"stale sector")
    recovered = recovered_twice(log)
    assert readable(log, recovered) == log.records
    assert recovered.cut_bytes == 6012 - (4096 + log.end_lsn - 4336)
    assert content(log.directory, recovered.quarantined[0]).endswith(b"stale sector")


def test_a_valid_frame_behind_a_torn_one_is_cut_too() -> None:
    log = three_segments(MemoryDirectory())
    log.put(b"seven")
    flip(log.directory, log.active, 4096 + log.records[-2][0] - 4336 + 40, 0)
    recovered = recovered_twice(log)
    assert readable(log, recovered) == log.records[:-2]
    assert b"seven" in content(log.directory, recovered.quarantined[0])


def test_segments_behind_a_torn_one_are_put_aside_whole() -> None:
    log = three_segments(MemoryDirectory())
    torn, torn_lsn = log.active, log.records[-1][0]
    log.begin(named=False)
    log.put(b"seven")
    log.begin(named=False)
    log.put(b"eight")
    flip(log.directory, torn, 4096 + torn_lsn - 4336, 0)
    recovered = recovered_twice(log)
    assert readable(log, recovered) == log.records[:5]
    assert len(recovered.quarantined) == 3
    assert b"eight" in content(log.directory, recovered.quarantined[0])
    assert b"seven" in content(log.directory, recovered.quarantined[1])
    assert content(log.directory, recovered.quarantined[1]).startswith(b"LOGSTSEG")


def test_a_segment_whose_name_a_power_loss_took_ends_the_log() -> None:
    log = three_segments(MemoryDirectory())
    log.begin(named=False)
    log.put(b"seven")
    lost = log.active
    log.begin(named=False)
    log.put(b"eight")
    log.directory.unlink(lost)
    recovered = recovered_twice(log)
    assert readable(log, recovered) == log.records[:6]
    assert len(recovered.quarantined) == 1


def test_the_same_with_a_proof_behind_it_is_corruption() -> None:
    log = three_segments(MemoryDirectory())
    log.begin(named=False)
    log.put(b"seven")
    lost = log.active
    log.begin(named=False)
    log.sync()
    log.put(b"eight")
    log.directory.unlink(lost)
    error = refused(log)
    assert error.lsn == log.records[6][0]


def test_a_segment_that_is_torn_from_its_start_is_removed_with_a_copy() -> None:
    log = three_segments(MemoryDirectory())
    log.begin(named=False)
    lsn = log.put(b"seven")
    flip(log.directory, log.active, 4096, 0)
    recovered = recovered_twice(log)
    assert not log.directory.exists(log.active)
    assert recovered.end_lsn == lsn
    assert b"seven" in content(log.directory, recovered.quarantined[0])


def test_a_batch_without_its_end_is_dropped_as_a_whole() -> None:
    log = three_segments(MemoryDirectory())
    batch_lsn = log.end_lsn
    log.batch(b"a", b"b", b"c", whole=False)
    recovered = recovered_twice(log)
    assert readable(log, recovered) == log.records[:6]
    assert recovered.end_lsn == batch_lsn
    assert recovered.cut_bytes == log.end_lsn - batch_lsn


def test_a_whole_batch_stays_and_a_torn_one_goes_from_its_first_frame() -> None:
    log = three_segments(MemoryDirectory())
    log.batch(b"a", b"b")
    batch_lsn = log.end_lsn
    log.batch(b"c", b"d", b"e")
    flip(log.directory, log.active, 4096 + log.end_lsn - 4336 - 8, 0)
    recovered = recovered_twice(log)
    assert readable(log, recovered) == log.records[:8]
    assert recovered.end_lsn == batch_lsn


def test_a_batch_that_ends_in_nothing_in_the_middle_of_the_log_is_corruption() -> None:
    log = three_segments(MemoryDirectory())
    batch_lsn = log.end_lsn
    log.batch(b"a", b"b", whole=False)
    log.begin()
    log.put(b"c")
    assert refused(log).lsn == batch_lsn


def test_groups_of_cut_records_are_forgotten_and_others_known() -> None:
    log = three_segments(MemoryDirectory())
    log.put(b"orders", kind=Kind.GROUP_NAME, group=1)
    lsn = log.put(b"kept", group=1)
    log.put(b"cut", group=1)
    flip(log.directory, log.active, 4096 + log.end_lsn - 4336 - 8, 0)
    footer = recovered_twice(log).footer
    assert footer is not None
    assert footer.groups[1] == GroupRange(1, "orders", 1, 1, 1, Points([(1, lsn)]))
