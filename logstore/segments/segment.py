"""One segment file: its name, its birth, and its header."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, TypeVar

from logstore.disk_errors import reading, writing
from logstore.errors import Corruption, IncompatibleFormat, LogstoreError
from logstore.files import Directory
from logstore.format import SEGMENT_HEADER_SIZE, SegmentHeader
from logstore.lsn import ALIGNMENT
from logstore.points import point

NEXT_SEGMENT: Final = "next.tmp"
"""The name of a segment that is prepared and has no place in the log yet."""

_SUFFIX: Final = ".seg"
_NAME: Final = re.compile(r"([0-9]{20})\.seg", re.ASCII)


def segment_name(base_lsn: int) -> str:
    """Return the file name of the segment that begins at `base_lsn`."""
    return f"{base_lsn:020d}{_SUFFIX}"


def base_of(name: str) -> int:
    """Return the LSN that a segment's name says.

    Raises:
        Corruption: No segment can have that name.
    """
    match = _NAME.fullmatch(name)
    if match is None or int(match[1]) % ALIGNMENT:
        raise Corruption(f"{name!r} is not the name of a segment", segment=name)
    return int(match[1])


def bases_of(names: Iterable[str]) -> list[int]:
    """Return the LSNs at which the segments among `names` begin, in order.

    Raises:
        Corruption: A name looks like a segment's, but no segment can have it.
    """
    return sorted(base_of(name) for name in names if name.endswith(_SUFFIX))


def prepare(directory: Directory, size: int, *, mode: int = 0o600) -> int:
    """Make a new segment of `size` bytes under a temporary name, ahead of its use.

    Its space is reserved and durable on return, so that writing into it needs no allocation.
    Blocks on the disk. What an earlier preparation left is removed. One process at a time.

    Returns:
        A descriptor, open for writing, that the caller closes.

    Raises:
        DiskFull: There is no room; nothing is left behind.
        SyncFailed, PermissionDenied: It could not be made.
    """
    with writing(NEXT_SEGMENT):
        if directory.exists(NEXT_SEGMENT):
            directory.unlink(NEXT_SEGMENT)
        fd = directory.create(NEXT_SEGMENT, mode)
        try:
            directory.allocate(fd, size)
            point("prepare.allocated")
            # The header's page is written now, so that `begin` later overwrites a page
            # that the file system knows, which costs it no journal entry.
            directory.write(fd, bytes(SEGMENT_HEADER_SIZE), 0)
            directory.sync_file(fd)
        except OSError:
            directory.close_file(fd)
            directory.unlink(NEXT_SEGMENT)
            raise
    return fd


def begin(directory: Directory, fd: int, header: SegmentHeader) -> None:
    """Give the prepared segment its header and its name.

    The header is durable on return; the name is durable after `Directory.sync`, which the
    syncer does before it publishes anything of this segment. Blocks on the disk for one page.

    Raises:
        SyncFailed, DiskFull, PermissionDenied: It did not become a segment.
    """
    name = segment_name(header.base_lsn)
    with writing(name):
        directory.write(fd, header.encode(), 0)
        # Order: the header is durable before the name exists. So a bad header in a
        # segment is always damage, never the trace of a crash.
        directory.sync_file(fd)
        point("rotate.header")
        directory.rename(NEXT_SEGMENT, name)


def discard(directory: Directory, fd: int) -> None:
    """Close and remove a prepared segment that is not needed; durable after `Directory.sync`."""
    directory.close_file(fd)
    directory.unlink(NEXT_SEGMENT)


def read_header(directory: Directory, name: str, *, uuid: bytes | None) -> SegmentHeader:
    """Read and check the header of a segment.

    Args:
        directory: The data directory.
        name: The segment's name.
        uuid: The log that it must belong to; None takes any.

    Raises:
        Corruption: It is damaged, or belongs to another place or another log.
        IncompatibleFormat: A newer version wrote it.
        NotFound, ReadFailed, PermissionDenied: The file is not there or not readable.
    """
    with reading(name):
        fd = directory.open_read(name)
        try:
            return header_from(directory, fd, name, uuid=uuid)
        finally:
            directory.close_file(fd)


def header_from(directory: Directory, fd: int, name: str, *, uuid: bytes | None) -> SegmentHeader:
    """Do what `read_header` does with a segment that is open already."""
    with reading(name):
        data = directory.read(fd, SEGMENT_HEADER_SIZE, 0)
    try:
        return _judged(SegmentHeader.decode(data), name, uuid)
    except (Corruption, IncompatibleFormat) as error:
        error.path, error.segment, error.offset = directory.path, name, 0
        raise


def _judged(header: SegmentHeader, name: str, uuid: bytes | None) -> SegmentHeader:
    if uuid is not None and header.uuid != uuid:
        raise Corruption(f"this segment belongs to another log, {header.uuid.hex()}")
    if header.base_lsn != base_of(name):
        raise Corruption(f"this segment was renamed; it begins at LSN {header.base_lsn}")
    return header


_Error = TypeVar("_Error", bound=LogstoreError)


def placed(error: _Error, header: SegmentHeader, lsn: int) -> _Error:
    """Put into an error the segment, the file offset and the LSN that it is about."""
    error.segment = segment_name(header.base_lsn)
    error.offset = header.offset_of(lsn)
    error.lsn = lsn
    return error


def require_writable(header: SegmentHeader) -> None:
    """Refuse to change a segment that has features which only reading can do without.

    Raises:
        IncompatibleFormat: It has such features.
    """
    if header.read_only_compatible:
        raise IncompatibleFormat(
            f"segment has features 0x{header.read_only_compatible:08x} that are not known here; "
            "it can only be read",
            segment=segment_name(header.base_lsn),
        )
