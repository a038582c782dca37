"""Can a region's words all be true? C says it quickly, Python says why not; both the same."""

from __future__ import annotations

import itertools

import pytest

from logstore.errors import Corruption
from logstore.lsn import FIRST_LSN
from logstore.ring._ring import LAYOUT
from logstore.ring.soundness import complaint, require_sound
from tests.ring.bench import RING, Bench

WORDS = ("start", "synced", "written", "published", "head", "newest_revert_lsn")
VALUES = (
    0, 4, FIRST_LSN, FIRST_LSN + 8, FIRST_LSN + RING, FIRST_LSN + RING + 8, 1 << 63, (1 << 64) - 8,
)  # fmt: skip


def test_a_new_region_is_sound(bench: Bench) -> None:
    assert bench.ring.sound()
    assert complaint(bench.ring) == ""


@pytest.mark.parametrize("pair", [*itertools.combinations(WORDS, 2)], ids="-".join)
def test_both_say_the_same_of_any_two_words(bench: Bench, pair: tuple[str, str]) -> None:
    for name, value in zip(
        WORDS, (FIRST_LSN, FIRST_LSN, FIRST_LSN + 8, FIRST_LSN + 8), strict=False
    ):
        bench.ring.store(LAYOUT[name], value)
    bench.ring.store(LAYOUT["head"], FIRST_LSN + 16)
    verdicts = set()
    for values in itertools.product(VALUES, VALUES):
        for name, value in zip(pair, values, strict=True):
            bench.ring.store(LAYOUT[name], value)
        assert bench.ring.sound() is (complaint(bench.ring) == ""), (pair, values)
        verdicts.add(bench.ring.sound())
    assert False in verdicts


def test_what_contradicts_is_refused_with_its_name(bench: Bench) -> None:
    bench.ring.store(LAYOUT["synced"], FIRST_LSN + 8)
    with pytest.raises(Corruption, match="synced"):
        require_sound(bench.ring, bench.path)
