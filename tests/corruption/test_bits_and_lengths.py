"""Every flipped bit and every length of every file: the verdict, its place, and the repair."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.corruption.judging import check
from tests.corruption.known_log import KnownLog, larger, small

SAMPLE = 350
PARTS = 4
"""The long runs come in so many, of a minute or two each."""
REPAIRED = 17
"""In the long runs, each so many-th case is repaired too, which takes longer than all the rest."""


def flips(known: KnownLog) -> list[tuple[str, int, int]]:
    sizes = [(name, known.size(name)) for name in known.names]
    return [(name, at, bit) for name, size in sizes for at in range(size) for bit in range(8)]


def check_flips(
    cases: list[tuple[str, int, int]], known: KnownLog, *, every: int = 1
) -> Counter[str]:
    seen: Counter[str] = Counter()
    for number, (name, at, bit) in enumerate(cases):
        damaged = known.directory.copied()
        damaged.files[name][at] ^= 1 << bit
        try:
            seen[check(known, damaged, repairing=number % every == 0).verdict] += 1
        except Exception as error:
            raise AssertionError(f"bit {bit} of byte {at} of {name}") from error
    return seen


def test_flipped_bits_are_found_where_they_are() -> None:
    known = small()
    headers = {(name, at, bit) for name, at, bit in flips(known) if 96 <= at < 4090}
    cases = [case for case in flips(known) if case not in headers]
    cases = random.Random(1).sample(cases, SAMPLE) + random.Random(2).sample(sorted(headers), 40)
    seen = check_flips(cases, known)
    assert seen["corrupt"] > 100
    assert seen["torn"] > 10


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_flipped_bit_of_a_small_log(part: int) -> None:
    known = small()
    assert len(flips(known)) >= 8 * 8192
    cases = flips(known)[part::PARTS]
    assert check_flips(cases, known, every=REPAIRED).total() == len(cases)
    print(len(cases), "bits")


def lengths(known: KnownLog) -> list[tuple[str, int]]:
    return [(name, length) for name in known.names for length in range(known.size(name))]


def check_lengths(cases: list[tuple[str, int]], known: KnownLog, *, every: int = 1) -> Counter[str]:
    seen: Counter[str] = Counter()
    for number, (name, length) in enumerate(cases):
        damaged = known.directory.copied()
        del damaged.files[name][length:]
        try:
            seen[check(known, damaged, repairing=number % every == 0).verdict] += 1
        except Exception as error:
            raise AssertionError(f"{name} with {length} bytes") from error
    return seen


def test_files_that_are_too_short_are_found() -> None:
    known = larger()
    seen = check_lengths(random.Random(3).sample(lengths(known), SAMPLE), known)
    assert seen["corrupt"] > 100
    assert seen["torn"] + seen["sound"] > 10


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_length_of_a_larger_log(part: int) -> None:
    known = larger()
    assert len(lengths(known)) >= 60_000
    cases = lengths(known)[part::PARTS]
    assert check_lengths(cases, known, every=REPAIRED).total() == len(cases)
    print(len(cases), "lengths")
