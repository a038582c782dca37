"""Why reading cannot go on at a place: damage, a newer version, or a place that is none."""

from __future__ import annotations

from logstore.disk_errors import reading
from logstore.errors import (
    Compacted,
    Corruption,
    IncompatibleFormat,
    InvalidLSN,
    LogstoreError,
    Lost,
)
from logstore.files import Directory
from logstore.format import SegmentHeader
from logstore.frames import UNKNOWN_KIND
from logstore.segments import repairs
from logstore.segments.segment import placed, segment_name
from logstore.segments.survey import survey_segment


def trouble(
    directory: Directory,
    fd: int,
    header: SegmentHeader,
    lsn: int,
    verdict: int,
    limit_lsn: int,
    first: bool,
) -> LogstoreError:
    """Return the error for a frame that a scan did not accept; reads the segment again.

    Args:
        directory: The data directory.
        fd: The segment, open.
        header: Its header.
        lsn: Where the scan stopped.
        verdict: What it said.
        limit_lsn: How far the files have been written.
        first: Whether the caller asked for just this place, so that it may be no frame's.
    """
    if first and past_hole(directory, lsn) is not None:
        return not_here(directory, lsn, InvalidLSN)
    if verdict == UNKNOWN_KIND:
        return placed(IncompatibleFormat("this frame's kind is not known"), header, lsn)
    if first and lsn != header.base_lsn:
        with reading(segment_name(header.base_lsn)):
            end_lsn = survey_segment(directory, fd, header, lsn).end_lsn
            if end_lsn < lsn:
                survey = survey_segment(directory, fd, header, limit_lsn)
                if survey.end_lsn > lsn:
                    return InvalidLSN(f"no frame begins at LSN {lsn}", lsn=lsn)
                lsn = survey.end_lsn
    return placed(Corruption("the frame here is not what was written"), header, lsn)


def past_hole(directory: Directory, lsn: int) -> int | None:
    """Return where the hole ends that a repair has closed here; None if there is none."""
    holes = repairs.load(directory).holes
    return next((one.until_lsn for one in holes if one.from_lsn <= lsn < one.until_lsn), None)


def not_here(
    directory: Directory, lsn: int, otherwise: type[InvalidLSN | Compacted]
) -> LogstoreError:
    """Return the error for a position without a record: lost to damage, or what else it is."""
    if past_hole(directory, lsn) is not None:
        return Lost("the record here was lost to damage", path=directory.path, lsn=lsn)
    if otherwise is Compacted:
        return Compacted("nobody needed what was here any more: it was dropped", lsn=lsn)
    return InvalidLSN("the frame here is not a record", lsn=lsn)
