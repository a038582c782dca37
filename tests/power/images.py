"""Which of the possible images of one moment are tried."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

Choice: TypeAlias = tuple[int, ...]

FEW: Final = 4096

_ALONE_OLD: Final = 0
_ALONE_NEW: Final = 1
_PREFIX: Final = 2
_SUFFIX: Final = 3
_SHAPES: Final = 4


def choices(
    counts: Sequence[int],
    newest: Choice,
    *,
    few: int = FEW,
    at_random: int = 0,
    most: int = 1 << 60,
    rng: random.Random,
) -> Iterator[Choice]:
    """Iterate over choices, each a number below its count for every unit.

    All of them if they are at most `few`. Otherwise: all old, all new, each unit alone old, each
    alone new, each prefix and suffix new, and then so many at random.

    Args:
        counts: How many versions each unit has.
        newest: The choice in which everything has arrived.
        few: Up to how many all are tried.
        at_random: How many are drawn if there are more.
        most: How many there may be; which ones stay is drawn.
        rng: Draws.
    """
    if math.prod(counts) <= few:
        every = list(itertools.product(*map(range, counts)))
        yield from every if len(every) <= most else rng.sample(every, most)
        return
    yield (0,) * len(counts)
    yield newest
    shaped = len(counts) * _SHAPES
    plan = range(shaped + at_random)
    for number in plan if len(plan) <= most - 2 else rng.sample(plan, most - 2):
        if number < shaped:
            yield _shaped(newest, *divmod(number, _SHAPES))
        else:
            yield _drawn(counts, newest, rng)


def _shaped(newest: Choice, unit: int, shape: int) -> Choice:
    oldest = (0,) * len(newest)
    if shape == _ALONE_OLD:
        return (*newest[:unit], 0, *newest[unit + 1 :])
    if shape == _ALONE_NEW:
        return (*oldest[:unit], newest[unit], *oldest[unit + 1 :])
    if shape == _PREFIX:
        return (*newest[:unit], *oldest[unit:])
    return (*oldest[:unit], *newest[unit:])


def _drawn(counts: Sequence[int], newest: Choice, rng: random.Random) -> Choice:
    share = rng.random()  # some losses are many and some few
    return tuple(
        int(rng.random() * count) if rng.random() < share else last
        for count, last in zip(counts, newest, strict=True)
    )
