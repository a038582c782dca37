"""Sealing: a segment gets its footer and never changes again."""

from __future__ import annotations

from logstore.errors import Corruption
from logstore.files import Directory
from logstore.format import Kind, SegmentHeader, decode_mark
from logstore.frames import Survey
from logstore.points import point
from logstore.segments.catalog import Catalog
from logstore.segments.catalog_sections import sections_of
from logstore.segments.disk_errors import reading, writing
from logstore.segments.fold import folded
from logstore.segments.footer import MAXIMUM_TIMES, Footer, GroupRange, TimePoint
from logstore.segments.points import Points
from logstore.segments.segment import header_from, placed, require_writable
from logstore.segments.survey import survey_segment


def seal(
    directory: Directory,
    name: str,
    end_lsn: int,
    previous: Footer | None,
    writer_fd: int | None = None,
) -> Footer:
    """Give a segment its footer and its final length; durable on return.

    Reads the whole segment and blocks on the disk. Doing it again changes nothing. Only the
    one process that writes the log's files may call this.

    Args:
        directory: The data directory.
        name: The segment's name.
        end_lsn: Where its last frame ends.
        previous: The footer of the segment before it; None for the first.
        writer_fd: A descriptor that has been open since before the frames were written; stays the
            caller's. Without it, an earlier sync of somebody else must have succeeded, or its
            error would not be told here.

    Raises:
        Corruption: The frames do not reach to `end_lsn`, or end within a batch.
        IncompatibleFormat: A newer version wrote some of it.
        DiskFull: There is no room for the footer; the segment is as it was.
        SyncFailed, ReadFailed, PermissionDenied: It is unknown how much of it was done.
    """
    with writing(name):
        fd = directory.open_write(name) if writer_fd is None else writer_fd
        try:
            header = header_from(directory, fd, name, uuid=None)
            require_writable(header)
            with reading(name):
                survey = survey_segment(directory, fd, header, end_lsn)
            if survey.end_lsn != end_lsn or survey.batch_lsn != end_lsn:
                message = f"this segment should have whole frames up to LSN {end_lsn}"
                raise placed(Corruption(message), header, survey.batch_lsn)
            with reading(name):
                catalog = folded(directory, fd, header, survey, previous)
            footer = footer_of(header, survey, catalog)
            write_footer(directory, fd, header, footer)
        finally:
            if writer_fd is None:
                directory.close_file(fd)
    return footer


def write_footer(directory: Directory, fd: int, header: SegmentHeader, footer: Footer) -> None:
    """Write a footer behind the frames, cut the file there, and make all of it durable.

    Raises:
        OSError: It is unknown how much of it was done.
    """
    # Order: the frames are durable before there is a footer. So a valid footer
    # proves every frame below its end, even when power fails within this function.
    directory.sync_file(fd)
    data = footer.encode()
    offset = header.offset_of(footer.end_lsn)
    directory.write(fd, data, offset)
    point("seal.footer")  # Crash: the file ends in something else, and is not sealed.
    directory.truncate(fd, offset + len(data))
    point("seal.truncated")
    directory.sync_file(fd)


def footer_of(header: SegmentHeader, survey: Survey, catalog: Catalog) -> Footer:
    """Make the footer of a surveyed segment with the catalog at its end; pure.

    Raises:
        Corruption: A mark that is valid by its checksum has contents that make no sense.
    """
    times = []
    for lsn, kind, _, _, payload in survey.system():
        if kind == Kind.MARK:
            try:
                times.append(TimePoint(decode_mark(payload)[0], lsn))
            except Corruption as error:
                raise placed(error, header, lsn) from error
    groups = _groups(survey, catalog)
    return Footer(
        base_lsn=header.base_lsn,
        end_lsn=survey.end_lsn,
        record_count=survey.record_count,
        frames_digest=survey.digest,
        groups=groups,
        times=tuple(times[:: -(-len(times) // MAXIMUM_TIMES) or 1]),
        others=sections_of(catalog, groups),
    )


def _groups(survey: Survey, catalog: Catalog) -> tuple[GroupRange, ...]:
    points: dict[int, list[tuple[int, int]]] = {}
    for number, seq, lsn in survey.points():
        points.setdefault(number, []).append((seq, lsn))
    here = {number: (first, last, count) for number, first, last, count in survey.groups()}
    groups = []
    for number in sorted(catalog.groups.keys() | here.keys()):
        first_seq, last_seq, record_count = here.get(number, (0, 0, 0))
        known = catalog.groups.get(number)
        groups.append(
            GroupRange(
                id=number,
                name=f"#{number}" if known is None else known.name,
                first_seq=first_seq,
                last_seq=last_seq if known is None else max(last_seq, known.last_seq),
                record_count=record_count,
                points=Points(points.get(number, ())),
            )
        )
    return tuple(groups)
