"""Cutting the log into blocks from its end towards its start, for reading backwards.

Frames can only be walked forwards. A block begins where a frame is known to begin: at a point of
a footer, or where a walk from such a place has come by.
"""

from __future__ import annotations

from collections.abc import Iterator

from logstore.errors import Corruption, InvalidLSN, LogstoreError
from logstore.files import Directory
from logstore.lsn import MAXIMUM_LSN
from logstore.segments.index import SegmentIndex, pieces
from logstore.segments.known import KnownSegments


def blocks_back(
    directory: Directory, segments: KnownSegments, start_lsn: int, floor_lsn: int, size: int
) -> Iterator[tuple[int, int]]:
    """Give the stretches of the log below `start_lsn`, the newest first, down to `floor_lsn`.

    Each begins and ends at a frame, and has about `size` bytes unless a frame is larger. Where
    compaction has dropped segments there are none.

    Args:
        directory: The data directory.
        segments: What is known of them, up to `start_lsn` at least.
        start_lsn: Where a frame ends.
        floor_lsn: Where a frame begins, or where there is none any more.
        size: Bytes.

    Raises:
        InvalidLSN: No frame ends at `start_lsn`.
        Corruption, IncompatibleFormat, ReadFailed, PermissionDenied: As all readers.
    """
    newest = True
    for index in segments.back_from(start_lsn):
        if newest and index.end_lsn < start_lsn:
            raise _no_end(directory, index, index.end_lsn, start_lsn, size)
        newest = False
        end_lsn = min(start_lsn, index.end_lsn)
        if end_lsn > floor_lsn:
            yield from _segment_back(directory, index, end_lsn, floor_lsn, size)
        if index.base_lsn <= floor_lsn:
            return


def _segment_back(
    directory: Directory, index: SegmentIndex, end_lsn: int, floor_lsn: int, size: int
) -> Iterator[tuple[int, int]]:
    boundaries = index.boundaries()
    upper, known = end_lsn, end_lsn in boundaries
    while upper > floor_lsn and boundaries:
        # The nearest known boundary that gives a block of the size that is wanted.
        while len(boundaries) > 1 and boundaries[-1] > upper - size:
            boundaries.pop()
        lower = boundaries.pop()
        for first, last in reversed(_cut(directory, index, lower, upper, size, known=known)):
            if last > floor_lsn:
                yield max(first, floor_lsn), last
        upper, known = lower, True


def _cut(
    directory: Directory, index: SegmentIndex, lower: int, upper: int, size: int, *, known: bool
) -> list[tuple[int, int]]:
    """Cut a stretch into blocks; check that it ends at a frame's end unless that is known."""
    if known and upper - lower <= 2 * size:
        return [(lower, upper)]
    try:
        return list(pieces(directory, index.header, lower, upper, size))
    except Corruption:
        if known:
            raise
        raise _no_end(directory, index, lower, upper, size) from None


def _no_end(
    directory: Directory, index: SegmentIndex, lower: int, upper: int, size: int
) -> LogstoreError:
    """Say why frames from `lower` on do not end at `upper`: it is within one, or one is bad."""
    try:
        for _, last in pieces(directory, index.header, lower, MAXIMUM_LSN, size):
            if last > upper:
                break
    except Corruption as error:
        if error.lsn is None or error.lsn <= upper:
            return error
    return InvalidLSN("no frame ends here", lsn=upper)
