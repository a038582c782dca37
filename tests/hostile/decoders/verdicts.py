"""What a decoder may say: what the bytes mean, or why they mean nothing."""

from __future__ import annotations

import struct


class Corrupt(Exception):
    """The bytes are not what was written."""


class Newer(Exception):
    """The bytes are sound, and of a version that is not known here."""


def take(data: bytes, layout: str, offset: int) -> tuple[tuple[int, ...], int]:
    """Read some numbers; return them and the offset behind them."""
    end = offset + struct.calcsize(layout)
    if offset < 0 or end > len(data):
        raise Corrupt(f"{layout} at {offset} is cut off")
    return struct.unpack(layout, data[offset:end]), end


def piece(data: bytes, offset: int, length: int) -> tuple[bytes, int]:
    """Read some bytes; return them and the offset behind them."""
    end = offset + length
    if end > len(data):
        raise Corrupt(f"{length} bytes at {offset} are cut off")
    return data[offset:end], end


def pairs(
    data: bytes, offset: int, count: int, layout: str = "<QQ"
) -> tuple[list[tuple[int, int]], int]:
    """Read so many pairs."""
    found = []
    if offset + count * struct.calcsize(layout) > len(data):
        raise Corrupt("pairs are cut off")
    for _ in range(count):
        (first, last), offset = take(data, layout, offset)
        found.append((first, last))
    return found, offset


def number_set(data: bytes, offset: int) -> tuple[list[tuple[int, int]], int]:
    """Read a set: u32 n, u32 0, and n closed ranges, sorted and not touching."""
    (count, free), offset = take(data, "<II", offset)
    ranges, offset = pairs(data, offset, count)
    reached = -2
    for first, last in ranges:
        if first > last or first <= reached + 1:
            raise Corrupt("a set is not in order")
        reached = last
    if free:
        raise Corrupt("a word that is kept free is not")
    return ranges, offset


def holds(ranges: list[tuple[int, int]], number: int) -> bool:
    """Tell whether a set has a number."""
    return any(first <= number <= last for first, last in ranges)


def require(condition: bool, why: str) -> None:
    """Call the bytes corrupt unless something holds of them."""
    if not condition:
        raise Corrupt(why)
