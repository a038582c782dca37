"""The active segment: reserved, and written ahead of those who wait for the disk piece by piece."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from logstore.format import SEGMENT_HEADER_SIZE
from logstore.lsn import FIRST_LSN
from tests.conftest import Serve
from tests.service import Service, until

pytestmark = pytest.mark.process

FILLED = 1 << 18  # as in idling.c
PAGE = 4096
ORIGIN = FIRST_LSN - SEGMENT_HEADER_SIZE


def written(service: Service) -> int:
    """Return up to which LSN the segment has bytes that are more than reserved."""
    [segment] = service.path.glob("*.seg")
    fd = os.open(segment, os.O_RDONLY)
    try:
        return os.lseek(fd, 0, os.SEEK_HOLE) + ORIGIN
    finally:
        os.close(fd)


@pytest.fixture
def service(serve: Serve, tmp_path: Path) -> Service:
    """Return a log on a file system that knows what has only been reserved."""
    probe = os.open(tmp_path / "probe", os.O_RDWR | os.O_CREAT)
    os.posix_fallocate(probe, 0, FILLED)
    hole = os.lseek(probe, 0, os.SEEK_HOLE)
    os.close(probe)
    if hole != 0:
        pytest.skip("this file system does not tell what is reserved from what is written")
    return serve()


def test_who_waits_for_each_small_record_finds_the_next_pages_written(service: Service) -> None:
    with service.attach() as log:
        end = 0

        def is_filled() -> bool:
            nonlocal end
            end = log.append(b"small", durability="synced")
            return written(service) > end + FILLED // 4

        until(is_filled, "zeros ahead of small records")
        assert written(service) <= end + 2 * FILLED


def test_large_records_are_written_once(service: Service) -> None:
    with service.attach() as log:
        for _ in range(20):
            end = log.append(bytes(FILLED // 2), durability="synced") + FILLED // 2
            assert end <= written(service) <= end + 2 * PAGE
