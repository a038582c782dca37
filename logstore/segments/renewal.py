"""Putting a segment's frames into a new file, because the old one cannot be trusted to keep them.

After a failed sync it is not enough to write the same bytes to the same place once more. ext4 does
not mark blocks as filled that were reserved ahead and of which the first write failed: later writes
and syncs of them succeed, and they read right until they are read from the disk, as zeros.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import Final

from logstore.files import Directory
from logstore.format import SegmentHeader
from logstore.points import point
from logstore.segments.footer import Footer
from logstore.segments.seal import write_footer
from logstore.segments.segment import NEXT_SEGMENT, bases_of, read_header, segment_name

CHUNK: Final = 1 << 20


def renew_unsealed(directory: Directory, sealed_end_lsn: int, end_lsn: int, mode: int) -> None:
    """Renew every segment from the sealed ones on, with its frames below an LSN; durable on return.

    No other process may write the log's files. Crash: each segment is the old or the new file.

    Raises:
        Corruption, IncompatibleFormat, NotFound: A segment's header cannot be used.
        OSError: A file could not be read or written; the old one is there.
    """
    bases = [base for base in bases_of(directory.names()) if sealed_end_lsn <= base <= end_lsn]
    for base, end in pairwise([*bases, end_lsn]):
        header = read_header(directory, segment_name(base), uuid=None)
        renew(directory, header, end, None, mode)
    directory.sync()


def renew(
    directory: Directory,
    header: SegmentHeader,
    end_lsn: int,
    footer: Footer | None,
    mode: int,
) -> None:
    """Put a new file in the place of a segment; its bytes are durable, its name is not yet.

    Crash: the old file is there, or the new one, whole.

    Args:
        directory: The data directory.
        header: The segment's.
        end_lsn: Up to where it has frames; what lies behind is not copied.
        footer: What is written behind them; None: nothing.
        mode: Permissions of the file.

    Raises:
        OSError: It could not be read or written; the old file is there.
    """
    name = segment_name(header.base_lsn)
    if directory.exists(NEXT_SEGMENT):
        directory.unlink(NEXT_SEGMENT)
    try:
        _copy(directory, header, end_lsn, footer, mode)
    except OSError:
        # It may be the lack of room: others need what this has taken.
        with suppress(OSError):
            directory.unlink(NEXT_SEGMENT)
        raise
    point("renew.written")
    directory.rename(NEXT_SEGMENT, name)
    point("renew.renamed")


def _copy(
    directory: Directory, header: SegmentHeader, end_lsn: int, footer: Footer | None, mode: int
) -> None:
    end = header.offset_of(end_lsn)
    old = directory.open_read(segment_name(header.base_lsn))
    try:
        new = directory.create(NEXT_SEGMENT, mode)
        try:
            for at in range(0, end, CHUNK):
                directory.write(new, directory.read(old, min(CHUNK, end - at), at), at)
            if footer is None:
                directory.sync_file(new)
            else:
                write_footer(directory, new, header, footer)
        finally:
            directory.close_file(new)
    finally:
        directory.close_file(old)
