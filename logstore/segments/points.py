"""Points of a segment's index: which record of a group lies where."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self, overload


class Point(NamedTuple):
    """Where one record of a group lies."""

    seq: int
    lsn: int


class Points(Sequence[Point]):
    """Hold points in the order of the log, 16 bytes each; immutable, equal to a tuple of them."""

    __slots__ = ("_lsns", "_seqs")

    def __init__(self, points: Iterable[tuple[int, int]] = ()) -> None:
        """Make it of pairs of seq and LSN."""
        self._seqs = array("Q")
        self._lsns = array("Q")
        for seq, lsn in points:
            self._seqs.append(seq)
            self._lsns.append(lsn)

    def extended(self, more: Iterable[tuple[int, int]]) -> Self:
        """Return these points and more of them, pairs of seq and LSN, behind."""
        points = type(self)(more)
        points._seqs, points._lsns = self._seqs + points._seqs, self._lsns + points._lsns
        return points

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read u64 seq, u64 LSN, little-endian, of each point."""
        flat = _little(array("Q", data))
        points = cls()
        points._seqs, points._lsns = flat[0::2], flat[1::2]
        return points

    def encode(self) -> bytes:
        """Return u64 seq, u64 LSN, little-endian, of each point."""
        flat = array("Q", bytes(16 * len(self._seqs)))
        flat[0::2], flat[1::2] = self._seqs, self._lsns
        return _little(flat).tobytes()

    def at_seq(self, seq: int) -> int:
        """Return the index of the last point that is not behind this seq; -1 if all are."""
        return bisect_right(self._seqs, seq) - 1

    def bracket(self, seq: int, end_lsn: int) -> tuple[int, int] | None:
        """Return from where to where to look for a record: from one point to the next.

        Args:
            seq: The record's.
            end_lsn: Where to end behind the last point.

        Returns:
            Two LSNs, or None if all points are behind the seq.
        """
        at = bisect_right(self._seqs, seq)
        if not at:
            return None
        lsns = self._lsns
        return lsns[at - 1], lsns[at] if at < len(lsns) else end_lsn

    def from_lsn(self, lsn: int) -> int:
        """Return the index of the first point at or behind this LSN; their number if none is."""
        return bisect_left(self._lsns, lsn)

    @property
    def seqs(self) -> array[int]:
        """The numbers alone."""
        return self._seqs

    @property
    def lsns(self) -> array[int]:
        """The positions alone."""
        return self._lsns

    def __len__(self) -> int:
        return len(self._seqs)

    @overload
    def __getitem__(self, index: int) -> Point: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Point]: ...
    def __getitem__(self, index: int | slice) -> Point | Sequence[Point]:
        if isinstance(index, slice):
            return tuple(map(Point, self._seqs[index], self._lsns[index]))
        return Point(self._seqs[index], self._lsns[index])

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Points):
            return self._seqs == other._seqs and self._lsns == other._lsns
        return tuple(self) == other

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


def _little(numbers: array[int]) -> array[int]:
    """Turn numbers between the order of bytes on disk and this machine's."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
