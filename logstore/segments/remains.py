"""What is left of one damaged segment: runs of whole frames, and holes between them. Reads only."""

from __future__ import annotations

from dataclasses import dataclass

from logstore.disk_errors import reading
from logstore.errors import Corruption
from logstore.files import Directory
from logstore.format import FRAME_HEADER_SIZE, SegmentHeader
from logstore.frames import Survey
from logstore.segments.catalog_sections import catalog_of
from logstore.segments.footer import Footer, footer_from
from logstore.segments.repairs import Hole
from logstore.segments.segment import placed, segment_name
from logstore.segments.survey import capacity_lsn, data_end, next_frame, survey_segment


@dataclass(frozen=True, slots=True)
class Remains:
    """Hold what was found in one segment.

    Attributes:
        header: Its header.
        name: Under which name it was found; not always its own.
        footer: Its footer, if that is sound and about as many bytes of frames as it should be.
        runs: Whole frames, each run up to a hole or to the end.
        holes: What is missing between them and up to `end_lsn`.
        end_lsn: Where the frames and the holes end.
        data_end: File offset behind the last byte that is not zero.
    """

    header: SegmentHeader
    name: str
    footer: Footer | None
    runs: tuple[Survey, ...]
    holes: tuple[Hole, ...]
    end_lsn: int
    data_end: int

    @property
    def base_lsn(self) -> int:
        """Where it begins."""
        return self.header.base_lsn

    @property
    def proof_lsn(self) -> int:
        """Everything below was durable: some frame, or the footer, says so."""
        proofs = [survey.proof_lsn for survey in self.runs]
        return max([0 if self.footer is None else self.footer.end_lsn, *proofs])


def examine(directory: Directory, header: SegmentHeader, name: str, end_lsn: int | None) -> Remains:
    """Look through a segment, also behind damage.

    Args:
        directory: The data directory.
        header: The segment's header.
        name: The file.
        end_lsn: Where its frames must end, if anybody says so.

    Raises:
        Corruption: Its frames are valid, and cannot be all that were there.
        IncompatibleFormat: A newer version wrote its footer.
        ReadFailed, PermissionDenied: It could not be read.
    """
    with reading(name):
        fd = directory.open_read(name)
        try:
            footer = _sound_footer(directory, fd, header)
            if footer is not None and end_lsn not in (None, footer.end_lsn):
                footer = None
            capacity = capacity_lsn(header, directory.file_size(fd))
            known = footer.end_lsn if footer is not None else end_lsn
            runs, holes = _runs(directory, fd, header, known, capacity)
            end = known if known is not None else (runs[-1].end_lsn if runs else header.base_lsn)
            used = data_end(directory, fd, header.offset_of(header.base_lsn))
        finally:
            directory.close_file(fd)
    return Remains(header, name, footer, tuple(runs), tuple(holes), end, used)


def _sound_footer(directory: Directory, fd: int, header: SegmentHeader) -> Footer | None:
    try:
        footer = footer_from(directory, fd, segment_name(header.base_lsn))
        catalog_of(footer)  # What it says of the records has to make sense, too.
    except Corruption:
        return None
    return footer


def _runs(
    directory: Directory, fd: int, header: SegmentHeader, known: int | None, capacity: int
) -> tuple[list[Survey], list[Hole]]:
    runs, holes = [], []
    lsn, stop = header.base_lsn, capacity if known is None else known
    while lsn < stop:
        survey = survey_segment(directory, fd, header, stop, lsn)
        if survey.end_lsn > lsn:
            runs.append(survey)
            lsn = survey.end_lsn
        if lsn >= stop:
            break
        # Nothing shorter than a frame can be missing before the next one.
        found = next_frame(directory, fd, header, lsn + FRAME_HEADER_SIZE, min(stop, capacity))
        if found < 0:
            if known is not None:
                _require_room(header, lsn, stop)
                holes.append(Hole(lsn, stop))
            break
        holes.append(Hole(lsn, found))
        lsn = found
    return runs, holes


def _require_room(header: SegmentHeader, lsn: int, end_lsn: int) -> None:
    """Refuse a hole that no frame fills: damage makes none, but wrong bytes with a checksum do."""
    if end_lsn - lsn < FRAME_HEADER_SIZE:
        text = f"{end_lsn - lsn} bytes are left here up to the end, too few for a frame"
        raise placed(Corruption(text), header, lsn)
