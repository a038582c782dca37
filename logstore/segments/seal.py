"""Sealing: a segment gets its footer and never changes again."""

from __future__ import annotations

from typing import Final

from logstore.errors import Corruption, IncompatibleFormat
from logstore.files import Directory
from logstore.format import IGNORABLE, Kind, SegmentHeader, decode_mark
from logstore.frames import Survey
from logstore.segments.disk_errors import reading, writing
from logstore.segments.footer import MAXIMUM_TIMES, Footer, GroupRange, Point, TimePoint
from logstore.segments.segment import header_from, placed, require_writable
from logstore.segments.survey import survey_segment

DEFAULT_GROUP: Final = "default"
"""The name of group 0, which no frame ever names."""

_KNOWN_KINDS: Final[frozenset[int]] = frozenset(Kind)


def seal(directory: Directory, name: str, end_lsn: int, previous: Footer | None) -> Footer:
    """Give a segment its footer and its final length; durable on return.

    Reads the whole segment and blocks on the disk. Doing it again changes nothing. Only the
    one process that writes the log's files may call this.

    Args:
        directory: The data directory.
        name: The segment's name.
        end_lsn: Where its last frame ends.
        previous: The footer of the segment before it; None for the first.

    Raises:
        Corruption: The frames do not reach to `end_lsn`, or end within a batch.
        IncompatibleFormat: A newer version wrote some of it.
        DiskFull: There is no room for the footer; the segment is as it was.
        SyncFailed, ReadFailed, PermissionDenied: It is unknown how much of it was done.
    """
    with writing(name):
        fd = directory.open_write(name)
        try:
            header = header_from(directory, fd, name, uuid=None)
            require_writable(header)
            with reading(name):
                survey = survey_segment(directory, fd, header, end_lsn)
            if survey.batch_lsn != end_lsn:
                message = f"this segment should have whole frames up to LSN {end_lsn}"
                raise placed(Corruption(message), header, survey.batch_lsn)
            footer = footer_of(header, survey, previous)
            write_footer(directory, fd, header, footer)
        finally:
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
    # Crash: before this line the file ends in something else, and is not sealed.
    directory.truncate(fd, offset + len(data))
    directory.sync_file(fd)


def footer_of(header: SegmentHeader, survey: Survey, previous: Footer | None) -> Footer:
    """Make the footer of a surveyed segment; pure.

    Raises:
        Corruption: A frame that is valid by its checksum has contents that make no sense.
        IncompatibleFormat: A frame is of a kind that must be known and is not.
    """
    before = {group.id: group for group in previous.groups} if previous else {}
    names = {0: DEFAULT_GROUP} | {group.id: group.name for group in before.values()}
    times = []
    for lsn, kind, group, _, payload in survey.system():
        try:
            _require_known(kind)
            if kind == Kind.GROUP_NAME:
                names[group] = payload.decode()
            elif kind == Kind.MARK:
                times.append(TimePoint(decode_mark(payload)[0], lsn))
        except UnicodeDecodeError as error:
            raise placed(Corruption("a group's name is not UTF-8"), header, lsn) from error
        except (Corruption, IncompatibleFormat) as error:
            placed(error, header, lsn)
            raise
    return Footer(
        base_lsn=header.base_lsn,
        end_lsn=survey.end_lsn,
        record_count=survey.record_count,
        frames_digest=survey.digest,
        groups=_groups(survey, names, before),
        times=tuple(times[:: -(-len(times) // MAXIMUM_TIMES) or 1]),
    )


def _groups(
    survey: Survey, names: dict[int, str], before: dict[int, GroupRange]
) -> tuple[GroupRange, ...]:
    points: dict[int, list[Point]] = {}
    for number, seq, lsn in survey.points():
        points.setdefault(number, []).append(Point(seq, lsn))
    here = {number: (first, last, count) for number, first, last, count in survey.groups()}
    groups = []
    for number in sorted(names.keys() | here.keys()):
        first_seq, last_seq, record_count = here.get(number, (0, 0, 0))
        if number in before:
            last_seq = max(last_seq, before[number].last_seq)
        groups.append(
            GroupRange(
                id=number,
                name=names.get(number, f"#{number}"),
                first_seq=first_seq,
                last_seq=last_seq,
                record_count=record_count,
                points=tuple(points.get(number, ())),
            )
        )
    return tuple(groups)


def _require_known(kind: int) -> None:
    if kind not in _KNOWN_KINDS and not kind & IGNORABLE:
        raise IncompatibleFormat(f"frames of kind {kind} are not known here")
