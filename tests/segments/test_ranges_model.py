"""A set of ranges is a set of numbers: every operation agrees with Python's own set."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstore.errors import Corruption, InvalidArgument
from logstore.segments.ranges import HIGHEST, RangeSet

SPACE = 64
pairs = st.tuples(st.integers(0, SPACE), st.integers(0, SPACE)).map(
    lambda pair: (min(pair), max(pair))
)
lists = st.lists(pairs, max_size=12)


def numbers(ranges: object) -> set[int]:
    return {n for first, last in ranges for n in range(first, last + 1)}  # type: ignore[attr-defined]


@given(lists, pairs)
def test_it_agrees_with_a_set(ranges: list[tuple[int, int]], pair: tuple[int, int]) -> None:
    made, plain = RangeSet(ranges), numbers(ranges)
    first, last = pair
    whole = set(range(first, last + 1))
    assert numbers(made) == plain
    assert made.count == len(plain)
    assert bool(made) == bool(plain)
    assert [n for n in range(SPACE + 2) if n in made] == sorted(plain)
    assert made.covers(first, last) == (whole <= plain)
    assert made.overlaps(first, last) == bool(whole & plain)
    assert made.first_gap_from(first) == next(n for n in range(first, SPACE + 3) if n not in plain)
    assert made.prefix_end == next(n for n in range(1, SPACE + 3) if n not in plain) - 1
    assert numbers(made.clipped(first, last)) == plain & whole
    assert numbers(made.gaps(first, last)) == whole - plain


@given(lists, lists)
def test_two_sets_agree_with_two_sets(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    a, b = RangeSet(one), RangeSet(other)
    assert numbers(a.union(b)) == numbers(one) | numbers(other)
    assert numbers(a.difference(b)) == numbers(one) - numbers(other)
    assert numbers(a.intersection(b)) == numbers(one) & numbers(other)
    assert (a == b) == (numbers(one) == numbers(other))
    assert (a, b) == (RangeSet(one), RangeSet(other))


@given(lists)
def test_its_ranges_are_sorted_and_do_not_touch_and_their_order_of_adding_is_forgotten(
    ranges: list[tuple[int, int]],
) -> None:
    made = RangeSet(ranges)
    assert made == RangeSet(reversed(ranges))
    listed = list(made)
    assert made.range_count == len(listed)
    assert all(a[1] + 1 < b[0] for a, b in pairwise(listed))


@given(lists, st.binary(max_size=9))
def test_its_bytes_are_read_back(ranges: list[tuple[int, int]], behind: bytes) -> None:
    made = RangeSet(ranges)
    data = made.encode()
    assert data == struct.pack("<II", made.range_count, 0) + b"".join(
        struct.pack("<QQ", *pair) for pair in made
    )
    assert RangeSet.decode(b"12345678" + data + behind, 8) == (made, 8 + len(data))


@given(st.binary(max_size=80))
def test_any_bytes_are_a_set_with_just_these_bytes_or_corruption(data: bytes) -> None:
    try:
        made, end = RangeSet.decode(data)
    except Corruption:
        return
    assert made.encode() == data[:end]


def test_a_copy_lives_on_its_own() -> None:
    made = RangeSet([(1, 5)])
    copy = made.copy()
    copy.add(7, 9)
    assert list(made) == [(1, 5)]
    assert list(made.union(copy)) == [(1, 5), (7, 9)]
    assert list(made) == [(1, 5)]


def test_the_highest_number_has_its_place() -> None:
    made = RangeSet([(HIGHEST, HIGHEST), (HIGHEST - 1, HIGHEST - 1), (0, 0)])
    assert list(made) == [(0, 0), (HIGHEST - 1, HIGHEST)]
    assert made.first_gap_from(HIGHEST - 1) == HIGHEST + 1
    assert RangeSet.decode(made.encode())[0] == made


@pytest.mark.parametrize("pair", [(2, 1), (-1, 3), (0, HIGHEST + 1)])
def test_what_is_no_range_is_refused(pair: tuple[int, int]) -> None:
    made = RangeSet([(1, 4)])
    with pytest.raises(InvalidArgument):
        made.add(*pair)
    assert list(made) == [(1, 4)]


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<IIQQQQ", 2, 0, 1, 2, 3, 4),
        struct.pack("<IIQQQQ", 2, 0, 5, 6, 1, 2),
        struct.pack("<IIQQ", 1, 0, 3, 2),
        struct.pack("<IIQQ", 1, 1, 2, 3),
        struct.pack("<IIQQ", 2, 0, 2, 3),
        struct.pack("<I", 0),
    ],
    ids=["touching", "out of order", "backwards", "reserved word", "cut off", "no count"],
)
def test_bytes_that_no_set_makes_are_corruption(data: bytes) -> None:
    with pytest.raises(Corruption):
        RangeSet.decode(data)
