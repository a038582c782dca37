"""Sets of numbers that come in runs: seqs that are checkpointed, commands that are done."""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Final, Self

from logstore.errors import Corruption, InvalidArgument

HIGHEST: Final = 2**64 - 1

_COUNT: Final = struct.Struct("<II")
_RANGE_SIZE: Final = 16


class RangeSet:
    """Hold a set of numbers from 0 to 2**64 - 1 as sorted closed ranges that do not touch.

    A range takes 16 bytes. Adding at the end and asking are fast; adding in the middle moves
    what is behind. For one thread.
    """

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        """Make a set of some closed ranges, in any order, overlapping or not.

        Raises:
            InvalidArgument: A range is backwards or out of bounds.
        """
        self._firsts = array("Q")
        self._lasts = array("Q")
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int) -> None:
        """Add the closed range from `first` to `last`.

        Raises:
            InvalidArgument: It is backwards or out of bounds.
        """
        if not 0 <= first <= last <= HIGHEST:
            raise InvalidArgument(f"{first} to {last} is no range")
        firsts, lasts = self._firsts, self._lasts
        if lasts and first == lasts[-1] + 1:
            lasts[-1] = last
            return
        # From `low` on, ranges reach up to `first` or touch it; from `high` on they are beyond.
        low = bisect_left(lasts, first - 1) if first else 0
        high = bisect_right(firsts, last + 1) if last < HIGHEST else len(firsts)
        if low < high:
            first, last = min(first, firsts[low]), max(last, lasts[high - 1])
        firsts[low:high] = array("Q", (first,))
        lasts[low:high] = array("Q", (last,))

    def update(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Add all of these closed ranges; another set is one such."""
        if isinstance(ranges, RangeSet) and self._is_before(ranges):
            self._firsts += ranges._firsts
            self._lasts += ranges._lasts
            return
        for first, last in ranges:
            self.add(first, last)

    def _is_before(self, other: RangeSet) -> bool:
        """Tell whether all of another set is behind this one, and does not touch it."""
        return not self or (bool(other) and other._firsts[0] > self._lasts[-1] + 1)

    def union(self, ranges: Iterable[tuple[int, int]]) -> Self:
        """Return a new set with these closed ranges added."""
        result = self.copy()
        result.update(ranges)
        return result

    def copy(self) -> Self:
        """Return a set of its own with the same numbers."""
        result = type(self)()
        result._firsts, result._lasts = self._firsts[:], self._lasts[:]
        return result

    def __contains__(self, number: int) -> bool:
        index = bisect_left(self._lasts, number)
        return index < len(self._firsts) and self._firsts[index] <= number

    def covers(self, first: int, last: int) -> bool:
        """Tell whether every number from `first` to `last` is in the set."""
        index = bisect_left(self._lasts, last)
        return index < len(self._firsts) and self._firsts[index] <= first

    def overlaps(self, first: int, last: int) -> bool:
        """Tell whether any number from `first` to `last` is in the set."""
        index = bisect_left(self._lasts, first)
        return index < len(self._firsts) and self._firsts[index] <= last

    def first_gap_from(self, number: int) -> int:
        """Return the lowest number that is not in the set and not below `number`."""
        index = bisect_left(self._lasts, number)
        if index < len(self._firsts) and self._firsts[index] <= number:
            return self._lasts[index] + 1
        return number

    @property
    def prefix_end(self) -> int:
        """The greatest n for which all of 1 to n are in the set; 0 if 1 is not."""
        return self.first_gap_from(1) - 1

    @property
    def count(self) -> int:
        """How many numbers are in the set."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    @property
    def range_count(self) -> int:
        """How many ranges it takes to say so."""
        return len(self._firsts)

    def clipped(self, first: int, last: int) -> Self:
        """Return the numbers of the set that are in the closed range."""
        result = type(self)()
        if first <= last:
            low, high = bisect_left(self._lasts, first), bisect_right(self._firsts, last)
            for index in range(low, high):
                result.add(max(first, self._firsts[index]), min(last, self._lasts[index]))
        return result

    def gaps(self, first: int, last: int) -> Self:
        """Return the numbers of the closed range that are not in the set."""
        result = type(self)()
        for low, high in self.clipped(first, last):
            if first < low:
                result.add(first, low - 1)
            first = high + 1
        if first <= last:
            result.add(first, last)
        return result

    def difference(self, other: RangeSet) -> Self:
        """Return the numbers of this set that are not in the other."""
        result = type(self)()
        for first, last in self:
            result.update(other.gaps(first, last))
        return result

    def intersection(self, other: RangeSet) -> Self:
        """Return the numbers that are in both sets."""
        result = type(self)()
        for first, last in self:
            result.update(other.clipped(first, last))
        return result

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Give the ranges in their order."""
        return zip(self._firsts, self._lasts, strict=True)

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RangeSet):
            return NotImplemented
        return self._firsts == other._firsts and self._lasts == other._lasts

    __hash__ = None  # type: ignore[assignment]  # It changes.

    def __repr__(self) -> str:
        return f"RangeSet({list(self)})"

    def encode(self) -> bytes:
        """Return u32 count, u32 0, and u64 first, u64 last of each range, little-endian."""
        flat = array("Q", bytes(_RANGE_SIZE * len(self._firsts)))
        flat[0::2], flat[1::2] = self._firsts, self._lasts
        return _COUNT.pack(len(self._firsts), 0) + _little(flat).tobytes()

    @classmethod
    def of_pairs(cls, data: bytes) -> Self:
        """Make a set of sorted ranges that do not touch: pairs of u64 in this machine's order."""
        flat = array("Q", data)
        result = cls()
        result._firsts, result._lasts = flat[0::2], flat[1::2]
        return result

    @classmethod
    def decode(cls, data: bytes | memoryview, offset: int = 0) -> tuple[Self, int]:
        """Read a set that begins at `offset`; return it and the offset behind it.

        Raises:
            Corruption: `encode` cannot have made it.
        """
        if offset + _COUNT.size > len(data):
            raise Corruption("a set of ranges is cut off")
        count, reserved = _COUNT.unpack_from(data, offset)
        start, end = offset + _COUNT.size, offset + _COUNT.size + count * _RANGE_SIZE
        if reserved or end > len(data):
            raise Corruption("a set of ranges is cut off")
        flat = array("Q", bytes(data[start:end]))
        flat = _little(flat)
        result = cls()
        result._firsts, result._lasts = flat[0::2], flat[1::2]
        result._check()
        return result, end

    def _check(self) -> None:
        before = -2
        for first, last in self:
            if not before + 1 < first <= last:
                raise Corruption("the ranges of a set are not in order")
            before = last


def _little(numbers: array[int]) -> array[int]:
    """Turn numbers between the order of bytes on disk and this machine's."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
