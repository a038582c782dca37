"""Segment files: names, birth and headers."""

from __future__ import annotations

import errno
import os

import pytest

from logstore.errors import Corruption, DiskFull, IncompatibleFormat, NotFound, SyncFailed
from logstore.files import Directory
from logstore.format import SegmentHeader
from logstore.segments.segment import (
    NEXT_SEGMENT,
    base_of,
    bases_of,
    begin,
    prepare,
    read_header,
    require_writable,
    segment_name,
)
from tests.memory_directory import MemoryDirectory
from tests.segments.small_log import UUID, change, content, cut

HEADER = SegmentHeader(uuid=UUID, epoch=1, salt=5, base_lsn=4096)
NAME = "00000000000000004096.seg"


def _begun(directory: Directory) -> Directory:
    fd = prepare(directory, 8192)
    begin(directory, fd, HEADER)
    directory.close_file(fd)
    return directory


def test_names_and_positions_are_each_others_inverse() -> None:
    assert segment_name(4096) == NAME
    assert base_of(NAME) == 4096
    assert base_of(segment_name(2**63 - 8)) == 2**63 - 8


@pytest.mark.parametrize(
    "name",
    [
        "4096.seg",
        "00000000000000004096 (copy).seg",
        "00000000000000004097.seg",
        "0000000000000000409x.seg",
        "-0000000000000004096.seg",
        "٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٤٠٩٦.seg",
    ],
)
def test_a_name_that_no_segment_can_have_is_corruption(name: str) -> None:
    with pytest.raises(Corruption):
        bases_of([name])


def test_other_files_are_not_segments() -> None:
    names = ["MANIFEST", NEXT_SEGMENT, "lock", segment_name(8192), segment_name(4096), "quarantine"]
    assert bases_of(names) == [4096, 8192]


def test_a_prepared_segment_is_allocated_zeros() -> None:
    directory = MemoryDirectory()
    directory.close_file(prepare(directory, 8192))
    assert content(directory, NEXT_SEGMENT) == bytes(8192)


def test_what_an_earlier_preparation_left_is_replaced() -> None:
    directory = MemoryDirectory()
    directory.files[NEXT_SEGMENT] = bytearray(b"old" * 10_000)
    directory.close_file(prepare(directory, 8192))
    assert content(directory, NEXT_SEGMENT) == bytes(8192)


def test_a_full_disk_leaves_no_prepared_segment_behind() -> None:
    directory = MemoryDirectory()

    def full(call: str) -> None:
        if call == "allocate":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "next.tmp")

    directory.fault = full
    with pytest.raises(DiskFull) as caught:
        prepare(directory, 8192)
    assert caught.value.errno == errno.ENOSPC
    assert not directory.files
    assert directory.open_count == 0


def test_a_begun_segment_has_its_name_and_header() -> None:
    directory = _begun(MemoryDirectory())
    assert directory.names() == [NAME]
    assert read_header(directory, NAME, uuid=UUID) == HEADER
    assert len(content(directory, NAME)) == 8192


def test_the_header_is_synced_before_the_name_exists() -> None:
    directory = MemoryDirectory()
    fd = prepare(directory, 8192)
    calls: list[str] = []
    directory.fault = calls.append
    begin(directory, fd, HEADER)
    assert calls == ["write", "sync_file", "rename"]


def test_a_segment_whose_header_was_not_synced_gets_no_name() -> None:
    directory = MemoryDirectory()
    fd = prepare(directory, 8192)

    def broken(call: str) -> None:
        if call == "sync_file":
            raise OSError(errno.EIO, os.strerror(errno.EIO), "next.tmp")

    directory.fault = broken
    with pytest.raises(SyncFailed):
        begin(directory, fd, HEADER)
    assert list(directory.files) == [NEXT_SEGMENT]


def test_a_segment_of_another_log_is_corruption() -> None:
    with pytest.raises(Corruption, match="another log") as caught:
        read_header(_begun(MemoryDirectory()), NAME, uuid=bytes(16))
    assert caught.value.segment == NAME
    assert caught.value.offset == 0


def test_a_renamed_segment_is_corruption() -> None:
    directory = _begun(MemoryDirectory())
    directory.rename(NAME, segment_name(8192))
    with pytest.raises(Corruption, match="was renamed; it begins at LSN 4096"):
        read_header(directory, segment_name(8192), uuid=UUID)


@pytest.mark.parametrize("size", [0, 100, 4095])
def test_a_segment_without_a_whole_header_is_corruption(size: int) -> None:
    directory = _begun(MemoryDirectory())
    cut(directory, NAME, size)
    with pytest.raises(Corruption) as caught:
        read_header(directory, NAME, uuid=UUID)
    assert caught.value.segment == NAME


def test_a_segment_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        read_header(MemoryDirectory(), NAME, uuid=UUID)


def test_a_segment_with_features_that_only_reading_can_miss_is_not_written() -> None:
    directory = _begun(MemoryDirectory())
    newer = SegmentHeader(uuid=UUID, epoch=1, salt=5, base_lsn=4096, read_only_compatible=2)
    change(directory, NAME, 0, newer.encode())
    header = read_header(directory, NAME, uuid=UUID)
    with pytest.raises(IncompatibleFormat, match="0x00000002"):
        require_writable(header)
