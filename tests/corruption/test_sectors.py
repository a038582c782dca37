"""Sectors that are zeroed, swapped, doubled or stale: the verdict, its place, and the repair."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.corruption.judging import check
from tests.corruption.known_log import KnownLog, larger, small
from tests.memory_directory import MemoryDirectory

SECTOR = 512
SAMPLE = 60

Damage = tuple[str, str, int, str, int]
"""What happens; the file and the sector that suffers; the file and the sector it comes from."""


def sectors(known: KnownLog) -> list[tuple[str, int]]:
    return [(name, at) for name in known.names for at in range(0, known.size(name), SECTOR)]


def every_damage(known: KnownLog) -> Iterator[Damage]:
    for name, at in sectors(known):
        yield "zeroed", name, at, name, at
        yield "stale", name, at, name, at
        for other, there in sectors(known):
            if (other, there) != (name, at):
                yield "doubled", name, at, other, there
                if (other, there) > (name, at):
                    yield "swapped", name, at, other, there


def damaged_copy(known: KnownLog, damage: Damage) -> MemoryDirectory:
    kind, name, at, other, there = damage
    was, copy = known.directory.files, known.directory.copied()
    size = min(SECTOR, known.size(name) - at)
    if kind == "zeroed":
        copy.files[name][at : at + size] = bytes(size)
    elif kind == "stale":
        old = known.older.get(name, b"")[at : at + size]
        copy.files[name][at : at + size] = old.ljust(size, b"\0")
    else:
        copy.files[name][at : at + size] = was[other][there : there + size].ljust(size, b"\0")
        if kind == "swapped":
            size = min(SECTOR, known.size(other) - there)
            mine = was[name][at : at + size].ljust(size, b"\0")
            copy.files[other][there : there + size] = mine
    return copy


def check_all(known: KnownLog, cases: list[Damage]) -> Counter[tuple[str, str]]:
    seen: Counter[tuple[str, str]] = Counter()
    for damage in cases:
        try:
            seen[damage[0], check(known, damaged_copy(known, damage)).verdict] += 1
        except Exception as error:
            raise AssertionError(str(damage)) from error
    return seen


@pytest.mark.parametrize("kind", ["zeroed", "stale", "doubled", "swapped"])
def test_damaged_sectors_are_found_where_they_are(kind: str) -> None:
    known = small()
    cases = [damage for damage in every_damage(known) if damage[0] == kind]
    cases = random.Random(4).sample(cases, min(SAMPLE, len(cases)))
    assert check_all(known, cases)[kind, "corrupt"] >= 4


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("make", [small, larger])
def test_every_damage_to_every_sector(make: Callable[[], KnownLog]) -> None:
    known = make()
    cases = list(every_damage(known))
    if len(cases) > 20_000:
        cases = random.Random(5).sample(cases, 20_000)
    seen = check_all(known, cases)
    assert {kind for kind, _ in seen} == {"zeroed", "stale", "doubled", "swapped"}
