"""Learning what a segment's bytes hold; the one way for sealing, recovery and repair."""

from __future__ import annotations

from typing import Final

from logstore.files import Directory
from logstore.format import SEGMENT_HEADER_SIZE, SegmentHeader
from logstore.frames import SHORT, Survey, resync
from logstore.lsn import ALIGNMENT
from logstore.segments.footer import STRIDE

CHUNK: Final = 1024 * 1024
LARGEST_FRAME: Final = 256 * 1024 * 1024 + 4096
"""More than any frame can have: a quarter of the largest ring."""

_ZEROS: Final = bytes(CHUNK)


def capacity_lsn(header: SegmentHeader, size: int) -> int:
    """Return the LSN that a file of `size` bytes cannot hold any more."""
    return header.base_lsn + (size - SEGMENT_HEADER_SIZE) // ALIGNMENT * ALIGNMENT


def survey_segment(
    directory: Directory,
    fd: int,
    header: SegmentHeader,
    limit_lsn: int,
    start_lsn: int | None = None,
) -> Survey:
    """Survey the frames of an open segment, from its first to `limit_lsn` or the first bad one.

    With `start_lsn`, where a frame begins, from there on.

    The result's `end_lsn` tells which; the end of the file counts as bad. Reads only.

    Raises:
        OSError: The file could not be read.
    """
    first_lsn = header.base_lsn if start_lsn is None else start_lsn
    survey = Survey(first_lsn, header.salt, STRIDE)
    buffer = bytearray(min(CHUNK, max(limit_lsn - first_lsn, ALIGNMENT)))
    while survey.end_lsn < limit_lsn:
        lsn = survey.end_lsn
        wanted = min(len(buffer), limit_lsn - lsn)
        with memoryview(buffer)[:wanted] as view:
            count = directory.read_into(fd, view, header.offset_of(lsn))
            _, verdict = survey.feed(view[:count], limit_lsn)
        if verdict != SHORT or (survey.end_lsn == lsn and count < wanted):
            break
        if survey.end_lsn == lsn:
            buffer = bytearray(2 * len(buffer))  # The frame is larger than all of the buffer.
    return survey


def greatest_proof(
    directory: Directory, fd: int, header: SegmentHeader, lsn: int, limit_lsn: int
) -> int:
    """Return the greatest LSN that a valid frame anywhere from `lsn` on says was durable; or 0.

    The bytes may be anything: this looks for frames after damage. Reads only.

    Raises:
        OSError: The file could not be read.
    """
    proof_lsn = 0
    step = LARGEST_FRAME
    while lsn < limit_lsn:
        # Two steps at once: a frame that begins in the first ends in the second at the latest.
        window = directory.read(fd, min(2 * step, limit_lsn - lsn), header.offset_of(lsn))
        proof_lsn = max(proof_lsn, _proof_within(window, lsn, header.salt, limit_lsn))
        lsn += step
    return proof_lsn


def next_frame(
    directory: Directory, fd: int, header: SegmentHeader, lsn: int, limit_lsn: int
) -> int:
    """Return where the first valid frame begins from `lsn` on, or -1. Reads only.

    Raises:
        OSError: The file could not be read.
    """
    while lsn < limit_lsn:
        window = directory.read(fd, min(2 * LARGEST_FRAME, limit_lsn - lsn), header.offset_of(lsn))
        found = resync(window, lsn, header.salt, limit_lsn)
        if found >= 0 or not window:
            return found
        lsn += LARGEST_FRAME
    return -1


def _proof_within(window: bytes, lsn: int, salt: int, limit_lsn: int) -> int:
    proof_lsn = 0
    at = lsn
    with memoryview(window) as view:
        while (found := resync(view[at - lsn :], at, salt, limit_lsn)) >= 0:
            survey = Survey(found, salt, STRIDE)
            at, _ = survey.feed(view[found - lsn :], limit_lsn)
            proof_lsn = max(proof_lsn, survey.proof_lsn)
    return proof_lsn


def data_end(directory: Directory, fd: int, offset: int) -> int:
    """Return the file offset behind the last byte that is not zero; `offset` if none follows it.

    Raises:
        OSError: The file could not be read.
    """
    end = offset
    while chunk := directory.read(fd, CHUNK, offset):
        if chunk != _ZEROS:
            kept = chunk.rstrip(b"\0")
            end = offset + len(kept) if kept else end
        offset += len(chunk)
    return end
