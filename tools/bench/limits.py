"""What the machine itself can do, by plain system calls: the yardsticks of each round."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

PIECE: Final = 1 << 20


def _preallocated(path: Path, size: int) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    os.posix_fallocate(fd, 0, size)
    os.fsync(fd)
    return fd


def sequential_s(path: Path, size: int) -> float:
    """Return the seconds to write 1 MiB pieces to a preallocated file, and for one fdatasync."""
    fd = _preallocated(path, size)
    piece = os.urandom(PIECE)
    began = time.monotonic()
    for offset in range(0, size, PIECE):
        os.pwrite(fd, piece[: min(PIECE, size - offset)], offset)
    os.fdatasync(fd)
    took_s = time.monotonic() - began
    os.close(fd)
    path.unlink()
    return took_s


def bare_syncs_ns(path: Path, record_size: int, seconds: float) -> list[int]:
    """Return how long each of many pwrite + fdatasync pairs took on a preallocated file."""
    fd = _preallocated(path, 64 << 20)
    record = os.urandom(record_size)
    took: list[int] = []
    offset = 4096
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic_ns()
        os.pwrite(fd, record, offset)
        os.fdatasync(fd)
        took.append(time.monotonic_ns() - began)
        offset += record_size
    os.close(fd)
    path.unlink()
    return took
