"""What recovery refuses: damage below a proof, and directories that are not as they should be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from logstore.errors import IncompatibleFormat
from logstore.format import SegmentHeader
from logstore.segments.recover import recover
from logstore.segments.segment import segment_name
from tests.memory_directory import MemoryDirectory
from tests.segments.recovering import readable, recovered_twice, refused
from tests.segments.small_log import (
    UUID,
    change,
    content,
    contents,
    cut,
    flip,
    three_segments,
)


def test_a_bad_frame_below_the_proof_of_a_later_one_is_corruption() -> None:
    log = three_segments(MemoryDirectory())
    log.sync()
    log.put(b"seven")
    bad_lsn = log.records[-2][0]
    flip(log.directory, log.active, 4096 + bad_lsn - 4336 + 33, 3)
    error = refused(log)
    assert (error.segment, error.offset, error.lsn) == (
        log.active,
        4096 + bad_lsn - 4336,
        bad_lsn,
    )


@pytest.mark.parametrize("proof", ["synced_lsn", "written_lsn"])
def test_a_bad_frame_below_what_the_region_says_is_corruption(proof: str) -> None:
    log = three_segments(MemoryDirectory())
    bad_lsn = log.records[-1][0]
    flip(log.directory, log.active, 4096 + bad_lsn - 4336 + 33, 3)
    assert refused(log, **{proof: log.end_lsn}).lsn == bad_lsn
    below = {proof: bad_lsn}
    assert recovered_twice(log, trusted=False, **below).end_lsn == bad_lsn


def test_a_log_that_ends_below_what_the_region_says_is_corruption() -> None:
    log = three_segments(MemoryDirectory())
    assert refused(log, written_lsn=log.end_lsn + 8).lsn == log.end_lsn


def test_a_valid_footer_proves_the_frames_before_it() -> None:
    log = three_segments(MemoryDirectory())
    log.seal(named=False)
    bad_lsn = log.records[-1][0]
    flip(log.directory, log.active, 4096 + bad_lsn - 4336 + 33, 3)
    assert refused(log).lsn == bad_lsn


def test_a_proof_in_a_segment_behind_a_lost_one_counts() -> None:
    log = three_segments(MemoryDirectory())
    torn, bad_lsn = log.active, log.records[-1][0]
    log.begin(named=False)
    log.sync()
    log.put(b"seven")
    flip(log.directory, torn, 4096 + bad_lsn - 4336 + 33, 3)
    assert refused(log).lsn == bad_lsn


Damage = Callable[[MemoryDirectory, list[str]], None]


def _twice(directory: MemoryDirectory, names: list[str]) -> None:
    directory.files[names[1]] = bytearray(directory.files[names[0]])


def _swap(directory: MemoryDirectory, names: list[str]) -> None:
    files = directory.files
    files[names[0]], files[names[1]] = files[names[1]], files[names[0]]


def _within_another(directory: MemoryDirectory, names: list[str]) -> None:
    header = SegmentHeader(uuid=UUID, epoch=1, salt=1, base_lsn=4104)
    directory.files[segment_name(4104)] = bytearray(header.encode())


def _foreign(directory: MemoryDirectory, names: list[str]) -> None:
    header = SegmentHeader(uuid=bytes(16), epoch=1, salt=1, base_lsn=4560)
    directory.files[segment_name(4560)] = bytearray(header.encode())


def _foreign_newest(directory: MemoryDirectory, names: list[str]) -> None:
    header = SegmentHeader.decode(bytes(directory.files[names[1]]))
    directory.files[names[1]][:4096] = replace(header, uuid=bytes(16)).encode()


def _other_header(directory: MemoryDirectory, names: list[str]) -> None:
    header = SegmentHeader.decode(bytes(directory.files[names[1]]))
    directory.files[names[1]][:4096] = replace(header, created_ns=1).encode()


@pytest.mark.parametrize(
    ("damage", "index"),
    [
        pytest.param(lambda d, n: d.unlink(n[0]), 0, id="the oldest is missing"),
        pytest.param(lambda d, n: d.unlink(n[1]), 1, id="the newest sealed one is missing"),
        pytest.param(lambda d, n: d.unlink(n[2]), 2, id="the active one is missing"),
        pytest.param(lambda d, n: d.rename(n[0], segment_name(8)), 0, id="one is renamed"),
        pytest.param(lambda d, n: d.rename(n[0], "a.seg"), None, id="one has a strange name"),
        pytest.param(_twice, 1, id="one is there twice"),
        pytest.param(_swap, 0, id="two are swapped"),
        pytest.param(_within_another, None, id="one begins within another"),
        pytest.param(_foreign, None, id="one of another log is added"),
        pytest.param(_foreign_newest, 1, id="the newest is of another log"),
        pytest.param(_other_header, 1, id="the newest has another header"),
        pytest.param(lambda d, n: cut(d, n[0], 4300), 0, id="the oldest is cut"),
        pytest.param(lambda d, n: cut(d, n[1], 4300), 1, id="the newest is cut"),
        pytest.param(lambda d, n: cut(d, n[2], 4000), 2, id="the active one has no header"),
        pytest.param(lambda d, n: flip(d, n[2], 41, 0), 2, id="the active one's header is bad"),
        pytest.param(lambda d, n: flip(d, n[1], len(d.files[n[1]]) - 80, 0), 1, id="bad footer"),
        pytest.param(lambda d, n: flip(d, "MANIFEST", 30, 0), None, id="the manifest is bad"),
    ],
)
def test_a_directory_that_is_not_what_the_manifest_says_is_corruption(
    damage: Damage, index: int | None
) -> None:
    log = three_segments(MemoryDirectory())
    assert isinstance(log.directory, MemoryDirectory)
    names = sorted(name for name in log.directory.names() if name.endswith(".seg"))
    damage(log.directory, names)
    error = refused(log)
    if index is not None:
        assert error.segment == names[index]


def test_an_older_copy_of_a_segment_is_corruption_when_others_prove_more() -> None:
    log = three_segments(MemoryDirectory())
    old = content(log.directory, log.active)
    log.put(b"seven")
    name = log.active
    log.begin()
    log.sync()
    log.put(b"eight")
    change(log.directory, name, 0, old)
    assert refused(log).segment == name


def test_a_batch_of_which_the_region_says_that_it_was_written_must_have_its_end() -> None:
    log = three_segments(MemoryDirectory())
    batch_lsn = log.end_lsn
    log.batch(b"a", b"b", whole=False)
    assert refused(log, written_lsn=log.end_lsn).segment == log.active
    assert recovered_twice(log, written_lsn=batch_lsn).end_lsn == batch_lsn


@pytest.mark.parametrize(
    "other",
    [{"previous_digest": 1}, {"previous_end_lsn": 4328}, {"previous_end_lsn": 0}],
    ids=["of another predecessor", "of one that ends elsewhere", "of none"],
)
@pytest.mark.parametrize("proven", [False, True])
def test_a_segment_that_does_not_follow_ends_the_log_or_is_corruption_if_it_was_durable(
    other: dict[str, int], proven: bool
) -> None:
    log = three_segments(MemoryDirectory())
    assert log.header is not None
    header = replace(log.header, **other)  # type: ignore[arg-type]
    change(log.directory, log.active, 0, header.encode())
    if proven:
        log.sync()
        log.put(b"seven")
        assert refused(log).lsn == 4336
    else:
        assert readable(log, recovered_twice(log)) == log.records[:4]


def test_a_segment_that_follows_one_in_the_middle_of_another_ends_the_log() -> None:
    log = three_segments(MemoryDirectory())
    log.begin(named=False)
    log.put(b"seven")
    assert log.header is not None
    header = replace(log.header, previous_end_lsn=4328)
    change(log.directory, log.active, 0, header.encode())
    assert readable(log, recovered_twice(log)) == log.records[:6]


def test_a_segment_of_another_log_in_place_of_a_dropped_one_is_corruption() -> None:
    log = three_segments(MemoryDirectory())
    first = log.manifest.sealed[0]
    log.save(sealed=log.manifest.sealed[1:], start_lsn=first.end_lsn)
    header = SegmentHeader(uuid=bytes(16), epoch=1, salt=1, base_lsn=4096)
    change(log.directory, segment_name(4096), 0, header.encode())
    assert refused(log).segment == segment_name(4096)


def test_what_compaction_had_no_time_to_remove_is_left_and_named() -> None:
    log = three_segments(MemoryDirectory())
    first = log.manifest.sealed[0]
    log.save(sealed=log.manifest.sealed[1:], start_lsn=first.end_lsn)
    recovered = recovered_twice(log)
    assert recovered.leftovers == (segment_name(first.base_lsn),)
    assert log.directory.exists(recovered.leftovers[0])


def test_a_segment_of_a_newer_version_is_incompatible() -> None:
    log = three_segments(MemoryDirectory())
    assert log.header is not None
    newer = replace(log.header, read_only_compatible=1)
    change(log.directory, log.active, 0, newer.encode())
    before = contents(log.directory)
    with pytest.raises(IncompatibleFormat):
        recover(log.directory)
    assert contents(log.directory) == before


def test_an_unknown_frame_in_the_tail_is_incompatible_and_nothing_is_touched() -> None:
    log = three_segments(MemoryDirectory())
    lsn = log.put(b"", kind=50)
    before = contents(log.directory)
    with pytest.raises(IncompatibleFormat) as caught:
        recover(log.directory)
    assert caught.value.lsn == lsn
    assert contents(log.directory) == before
