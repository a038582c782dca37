"""No byte behind a buffer is read: every buffer here ends where unreadable memory begins."""

from __future__ import annotations

import ctypes
import mmap
import struct

import pytest

from logstore import frames
from tests.frames.reference import FIRST_LSN, SALT, Frame

PAGE = mmap.PAGESIZE
PROT_NONE = 0


@pytest.fixture
def page() -> memoryview:
    """One page of writable bytes with an unreadable page behind it."""
    both = mmap.mmap(-1, 2 * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(both))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    assert protect(ctypes.c_void_p(address + PAGE), PAGE, PROT_NONE) == 0
    return memoryview(both)[:PAGE]


def at_the_edge(page: memoryview, data: bytes) -> memoryview:
    page[PAGE - len(data) :] = data
    return page[PAGE - len(data) :]


def test_checksums_stay_inside(page: memoryview) -> None:
    for length in (*range(600), PAGE):
        data = page[PAGE - length :]
        assert frames.crc32c(data) == frames.crc32c_portable(data) == frames.crc32c(bytes(data))


@pytest.mark.parametrize("size", [0, 1, 2, 8, 9, 33, 4065, 1 << 16, (1 << 31) - 1, (1 << 32) - 1])
def test_a_header_that_promises_more_than_there_is_stays_inside(
    page: memoryview, size: int
) -> None:
    header = struct.pack("<IIQQHBBI", size, 0, FIRST_LSN, 0, 65535, 255, 255, 0)
    for kept in range(33):
        data = at_the_edge(page, header[:kept])
        frames.scan(data, FIRST_LSN, SALT, 2**64 - 1, [], kinds=2**64 - 1)
        frames.Survey(FIRST_LSN, SALT).feed(data, 2**64 - 1)
        assert frames.resync(data, FIRST_LSN, SALT, 2**64 - 1) == -1
        assert isinstance(frames.frame_at(data, 0, FIRST_LSN, SALT, 2**64 - 1, []), int)
        frames.find(data, 0, FIRST_LSN, SALT, 2**64 - 1, [], 0, 1)


def test_a_whole_or_a_cut_frame_at_the_edge_stays_inside(page: memoryview) -> None:
    for length in range(40):
        frame = Frame(bytes(range(length)), kind=5, group=65535).encode()
        for kept in range(len(frame) + 1):
            data = at_the_edge(page, frame[:kept])
            whole = kept == len(frame)
            records, _, verdict = frames.scan(data, FIRST_LSN, SALT, 2**63, [], kinds=1 << 5)
            assert (len(records), verdict) == (whole, frames.SHORT)
            survey = frames.Survey(FIRST_LSN, SALT)
            survey.feed(data, 2**63)
            assert len(survey.system()) == whole
            found = frames.resync(data, FIRST_LSN, SALT, 2**63)
            assert found == (FIRST_LSN if whole else -1)
