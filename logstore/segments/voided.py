"""Parts of transactions that a revert made pointless, although it did not reach back to them.

A revert that hides a commit hides the whole transaction, and parts before the place reverted to lie
outside of what is hidden. Footers list the commits of transactions that began in an earlier
segment; this looks for those that began and ended in the segment of the place itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from logstore.disk_errors import reading
from logstore.files import Directory
from logstore.format import Kind
from logstore.payloads import PART_PREFIX_SIZE
from logstore.segments.fold import scanned
from logstore.segments.ranges import RangeSet
from logstore.segments.segment import header_from, segment_name

_KINDS: Final = 1 << Kind.TXN_PART | 1 << Kind.TXN_COMMIT


class VoidedParts:
    """Find such parts in sealed segments. For one thread.

    Keeps what it finds: a sealed segment does not change, and what is asked is the same each time.
    """

    def __init__(self, directory: Directory, uuid: bytes) -> None:
        self._directory = directory
        self._uuid = uuid
        self._found: dict[tuple[int, int, int], Mapping[int, RangeSet]] = {}

    def between(self, base_lsn: int, from_lsn: int, until_lsn: int) -> Mapping[int, RangeSet]:
        """Return the seqs, by group id, of parts below an LSN whose commits are at or behind it.

        Args:
            base_lsn: The sealed segment that has both.
            from_lsn: Where the revert went back to, in that segment.
            until_lsn: Where what it hides ends, at most the segment's end.

        Raises:
            NotFound, Corruption, ReadFailed, PermissionDenied: The segment cannot be read.
        """
        key = (base_lsn, from_lsn, until_lsn)
        if key not in self._found:
            self._found[key] = self._look(*key)
        return self._found[key]

    def _look(self, base_lsn: int, from_lsn: int, until_lsn: int) -> Mapping[int, RangeSet]:
        parts: dict[bytes, list[tuple[int, int]]] = {}
        found: dict[int, RangeSet] = {}
        name = segment_name(base_lsn)
        with reading(name):
            fd = self._directory.open_read(name)
            try:
                header = header_from(self._directory, fd, name, uuid=self._uuid)
                for frames in scanned(self._directory, fd, header, until_lsn, _KINDS):
                    for frame in frames:
                        key = bytes(frame.payload[:PART_PREFIX_SIZE])
                        if frame.lsn < from_lsn and frame.kind == Kind.TXN_PART:
                            parts.setdefault(key, []).append((int(frame.group[1:]), frame.seq))
                        elif frame.lsn >= from_lsn and frame.kind == Kind.TXN_COMMIT:
                            for group, seq in parts.pop(key, ()):
                                found.setdefault(group, RangeSet()).add(seq, seq)
            finally:
                self._directory.close_file(fd)
        return found
