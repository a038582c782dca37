"""Writing bytes once more that may not have reached the disk although a sync seemed to be done.

A failed sync leaves pages that the kernel takes for clean: they read right, and no later sync
writes them. Only writing makes them dirty again.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from logstore.errors import Corruption
from logstore.files import Directory
from logstore.format import SegmentHeader
from logstore.frames import SHORT, Survey
from logstore.segments.footer import STRIDE
from logstore.segments.segment import bases_of, header_from, placed, segment_name

CHUNK: Final = 1 << 20


def rewrite(directory: Directory, synced_lsn: int, written_lsn: int) -> None:
    """Write all frames in [synced_lsn, written_lsn) again, each checked; not durable on return.

    Both must be frame boundaries of the files' frames. Nobody else writes these bytes meanwhile.

    Raises:
        Corruption: A frame there is not what was written, so it cannot be saved this way.
        OSError: It could not be read or written.
    """
    if synced_lsn >= written_lsn:
        return
    bases = bases_of(directory.names())
    first = max(bisect_right(bases, synced_lsn) - 1, 0)
    ends = [*bases[first + 1 :], written_lsn]
    for base, end in zip(bases[first:], ends, strict=True):
        start, end = max(base, synced_lsn), min(end, written_lsn)
        if start < end:
            _rewrite_segment(directory, segment_name(base), start, end)


def _rewrite_segment(directory: Directory, name: str, start: int, end: int) -> None:
    fd = directory.open_write(name)
    try:
        header = header_from(directory, fd, name, uuid=None)
        while start < end:
            frames = _whole_frames(directory, fd, header, start, end)
            directory.write(fd, frames, header.offset_of(start))
            start += len(frames)
    finally:
        directory.close_file(fd)


def _whole_frames(
    directory: Directory, fd: int, header: SegmentHeader, start: int, end: int
) -> memoryview:
    """Read some whole frames from `start` on, and check them."""
    size = CHUNK
    while True:
        data = directory.read(fd, min(size, end - start), header.offset_of(start))
        survey = Survey(start, header.salt, STRIDE)
        _, verdict = survey.feed(data, end)
        if survey.end_lsn > start:
            return memoryview(data)[: survey.end_lsn - start]
        if verdict != SHORT or len(data) < size:
            raise placed(Corruption("the frame here is not what was written"), header, start)
        size *= 2
