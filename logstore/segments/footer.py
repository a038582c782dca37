"""The footer of a sealed segment: what it holds, so that nobody has to scan it to know.

It is always made by a survey of the segment's bytes, so it can be made again at any time.
It is cumulative where the log's future depends on it: the newest one knows every group.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

from logstore.disk_errors import reading
from logstore.errors import Corruption, IncompatibleFormat
from logstore.files import Directory
from logstore.format import SEGMENT_HEADER_SIZE, padded
from logstore.frames import crc32c
from logstore.lsn import ALIGNMENT
from logstore.segments.points import Points
from logstore.segments.segment import base_of

FOOTER_MAGIC: Final = b"LSFOOTER"
TRAILER_MAGIC: Final = b"LSTRAILR"
TRAILER_SIZE: Final = 64
STRIDE: Final = 64
"""Every so many records of a group, the footer has a point."""
MAXIMUM_TIMES: Final = 1024

GROUPS: Final = 1
TIMES: Final = 2
CHECKPOINTS: Final = 3
TRANSACTIONS: Final = 4
REVERTS: Final = 5
CATALOG_SECTIONS: Final = frozenset({CHECKPOINTS, TRANSACTIONS, REVERTS})
"""What `catalog_sections` reads and writes; here they are only bytes."""
IGNORABLE_SECTION: Final = 1
"""Bit of a section's flags: whoever does not know its type may pass it over."""

_SECTION: Final = struct.Struct("<HHI")
_GROUPS: Final = struct.Struct("<II")
_GROUP: Final = struct.Struct("<HHIQQQ")
_PAIR: Final = struct.Struct("<QQ")
_TRAILER: Final = struct.Struct("<8sQQQQI16x")
_CRC: Final = struct.Struct("<I")
_FIRST_READ: Final = 64 * 1024


class TimePoint(NamedTuple):
    """What the clock said when the log had grown so far."""

    time_ns: int
    lsn: int


class Section(NamedTuple):
    """A part of a footer whose meaning is not this module's."""

    type: int
    flags: int
    data: bytes


@dataclass(frozen=True, slots=True)
class GroupRange:
    """Say what a segment holds of one group.

    Attributes:
        id: What frames call the group.
        name: What people call it.
        first_seq: Its first seq in this segment; 0 if it has none here.
        last_seq: Its last seq in this segment, or else in all before it.
        record_count: Its records in this segment.
        points: Every 64th of these records, from the first.
    """

    id: int
    name: str
    first_seq: int = 0
    last_seq: int = 0
    record_count: int = 0
    points: Points = field(default_factory=Points)


@dataclass(frozen=True, slots=True)
class Footer:
    """Say what a sealed segment holds.

    Attributes:
        base_lsn: Where the segment begins.
        end_lsn: Where its last frame ends.
        record_count: Its records of all groups.
        frames_digest: CRC-32C over all its frames.
        groups: All groups of the log so far, by id.
        times: Clock readings in the order of the log, at most 1024.
        others: All other sections: the catalog's, and those that nobody here knows.
    """

    base_lsn: int
    end_lsn: int
    record_count: int
    frames_digest: int
    groups: tuple[GroupRange, ...] = ()
    times: tuple[TimePoint, ...] = ()
    others: tuple[Section, ...] = ()

    def names(self) -> list[str]:
        """List group names by id, as `frames.scan` wants them."""
        names = [f"#{number}" for number in range(self.groups[-1].id + 1)] if self.groups else []
        for group in self.groups:
            names[group.id] = group.name
        return names

    def encode(self) -> bytes:
        """Return the bytes from the magic to the end of the file."""
        sections = [Section(GROUPS, 0, _encode_groups(self.groups))]
        times = b"".join(_PAIR.pack(*point) for point in self.times)
        sections.append(Section(TIMES, 0, times))
        body = FOOTER_MAGIC + b"".join(map(_encode_section, (*sections, *self.others)))
        trailer = _TRAILER.pack(
            TRAILER_MAGIC,
            self.base_lsn,
            self.end_lsn,
            self.record_count,
            len(body) + TRAILER_SIZE,
            self.frames_digest,
        )
        whole = body + trailer
        return whole + _CRC.pack(crc32c(whole))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a footer from exactly its bytes.

        Raises:
            Corruption: They are not what was written.
            IncompatibleFormat: They are sound, but have sections that must be known and are not.
        """
        whole = data[: -_CRC.size]
        if len(data) < len(FOOTER_MAGIC) + TRAILER_SIZE or not data.startswith(FOOTER_MAGIC):
            raise Corruption("this is no footer: its magic is missing")
        if data[-_CRC.size :] != _CRC.pack(crc32c(whole)):
            raise Corruption("the checksum of a footer is wrong")
        trailer = _TRAILER.unpack_from(whole, len(data) - TRAILER_SIZE)
        magic, base_lsn, end_lsn, record_count, length, digest = trailer
        positions = (base_lsn, end_lsn)
        if magic != TRAILER_MAGIC or length != len(data) or any(p % ALIGNMENT for p in positions):
            raise Corruption("the fields of a footer's trailer contradict each other")
        sections = list(_sections(whole[len(FOOTER_MAGIC) : len(data) - TRAILER_SIZE]))
        if len({section.type for section in sections}) < len(sections):
            raise Corruption("a footer has the same section twice")
        return cls(
            base_lsn=base_lsn,
            end_lsn=end_lsn,
            record_count=record_count,
            frames_digest=digest,
            groups=tuple(g for s in sections if s.type == GROUPS for g in _groups(s.data)),
            times=tuple(t for s in sections if s.type == TIMES for t in _times(s.data)),
            others=tuple(s for s in sections if s.type not in (GROUPS, TIMES)),
        )


def read_footer(directory: Directory, name: str) -> Footer | None:
    """Read the footer of a segment; None if the segment is not sealed.

    Raises:
        Corruption: A footer is there and damaged, or is that of another segment.
        IncompatibleFormat: A newer version wrote it.
        NotFound, ReadFailed, PermissionDenied: The file is not there or not readable.
    """
    with reading(name):
        fd = directory.open_read(name)
        try:
            return footer_from(directory, fd, name)
        finally:
            directory.close_file(fd)


def footer_from(directory: Directory, fd: int, name: str) -> Footer | None:
    """Do what `read_footer` does with a segment that is open already."""
    with reading(name):
        found = _footer_bytes(directory, fd)
    if found is None:
        return None
    offset, data = found
    try:
        return _placed(Footer.decode(data), name, offset)
    except (Corruption, IncompatibleFormat) as error:
        error.path, error.segment, error.offset = directory.path, name, offset
        raise


def _footer_bytes(directory: Directory, fd: int) -> tuple[int, bytes] | None:
    """Return where the footer begins, if the file ends in one, and all of it."""
    size = directory.file_size(fd)
    start = max(SEGMENT_HEADER_SIZE, size - _FIRST_READ)
    data = directory.read(fd, size - start, start) if size > start else b""
    if data[-TRAILER_SIZE : -TRAILER_SIZE + 8] != TRAILER_MAGIC:
        return None
    size = start + len(data)  # Sealing may have cut the file since it was measured.
    length = max(_TRAILER.unpack_from(data, len(data) - TRAILER_SIZE)[4], TRAILER_SIZE)
    if length <= len(data):
        return size - length, data[-length:]
    start = max(SEGMENT_HEADER_SIZE, size - length)
    return start, directory.read(fd, size - start, start)


def _placed(footer: Footer, name: str, offset: int) -> Footer:
    if footer.base_lsn != base_of(name):
        raise Corruption(f"this footer belongs to the segment at LSN {footer.base_lsn}")
    if SEGMENT_HEADER_SIZE + footer.end_lsn - footer.base_lsn != offset:
        raise Corruption("the frames and the footer of a segment do not meet")
    return footer


def _encode_section(section: Section) -> bytes:
    header = _SECTION.pack(section.type, section.flags, len(section.data))
    return header + section.data.ljust(padded(len(section.data)), b"\0")


def _encode_groups(groups: tuple[GroupRange, ...]) -> bytes:
    parts = [_GROUPS.pack(len(groups), STRIDE)]
    for group in groups:
        name = group.name.encode()
        counts = (group.first_seq, group.last_seq, group.record_count)
        parts.append(_GROUP.pack(group.id, len(name), len(group.points), *counts))
        parts.append(name.ljust(padded(len(name)), b"\0"))
        parts.append(group.points.encode())
    return b"".join(parts)


def _sections(data: bytes) -> Iterator[Section]:
    offset = 0
    while offset < len(data):
        if offset + _SECTION.size > len(data):
            raise Corruption("a section of a footer is cut off")
        kind, flags, length = _SECTION.unpack_from(data, offset)
        offset += _SECTION.size
        if offset + padded(length) > len(data):
            raise Corruption("a section of a footer is cut off")
        known = kind in (GROUPS, TIMES) or kind in CATALOG_SECTIONS
        if not known and not flags & IGNORABLE_SECTION:
            raise IncompatibleFormat(
                f"a footer has a section of type {kind} that is not known here"
            )
        yield Section(kind, flags, data[offset : offset + length])
        offset += padded(length)


def _groups(data: bytes) -> Iterator[GroupRange]:
    try:
        count, _ = _GROUPS.unpack_from(data)
        offset, last_id = _GROUPS.size, -1
        for _ in range(count):
            group, offset = _group(data, offset)
            if group.id <= last_id:
                raise Corruption("the groups of a footer are not in order")
            last_id = group.id
            yield group
    except (struct.error, UnicodeDecodeError) as error:
        raise Corruption(f"the groups of a footer make no sense: {error}") from error
    if offset != len(data):
        raise Corruption("the groups of a footer do not fill their section")


def _group(data: bytes, offset: int) -> tuple[GroupRange, int]:
    number, name_length, point_count, first_seq, last_seq, record_count = _GROUP.unpack_from(
        data, offset
    )
    offset += _GROUP.size
    points_offset = offset + padded(name_length)
    end = points_offset + point_count * _PAIR.size
    if end > len(data):
        raise Corruption("the points of a group are cut off")
    group = GroupRange(
        id=number,
        name=data[offset : offset + name_length].decode(),
        first_seq=first_seq,
        last_seq=last_seq,
        record_count=record_count,
        points=Points.decode(data[points_offset:end]),
    )
    return group, end


def _times(data: bytes) -> Iterator[TimePoint]:
    if len(data) % _PAIR.size:
        raise Corruption("the times of a footer are cut off")
    return map(TimePoint._make, _PAIR.iter_unpack(data))
