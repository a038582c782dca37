"""Positions, watermarks and durability levels."""

from __future__ import annotations

from dataclasses import replace

import pytest

from logstore.errors import InvalidArgument, InvalidLSN
from logstore.lsn import (
    DURABILITIES,
    FIRST_LSN,
    MAXIMUM_LSN,
    Watermarks,
    require_durability,
    require_lsn,
)


@pytest.mark.parametrize("lsn", [0, 8, FIRST_LSN, MAXIMUM_LSN])
def test_multiples_of_eight_are_positions(lsn: int) -> None:
    assert require_lsn(lsn) == lsn


@pytest.mark.parametrize("value", [-8, 4, 4097, MAXIMUM_LSN + 8, True, None, "8", 8.0])
def test_anything_else_is_refused_by_name(value: object) -> None:
    with pytest.raises(InvalidLSN, match="start_lsn must be"):
        require_lsn(value, name="start_lsn")


ORDERED = Watermarks(8, 16, 24, 32, 40, 48)


def test_watermarks_in_their_order_are_ordered() -> None:
    assert ORDERED.ordered
    assert Watermarks(8, 8, 8, 8, 8, 8).ordered
    assert replace(ORDERED, checkpointed=80).ordered


@pytest.mark.parametrize(
    "wrong",
    [{"start": 24}, {"start": 32}, {"synced": 40}, {"written": 48}, {"published": 56}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_watermark_ahead_of_a_later_one_is_not_ordered(wrong: dict[str, int]) -> None:
    assert not replace(ORDERED, **wrong).ordered


@pytest.mark.parametrize("level", DURABILITIES)
def test_each_durability_is_one(level: str) -> None:
    assert require_durability(level) == level


@pytest.mark.parametrize("value", ["", "Ring", "fsync", None, 1])
def test_an_unknown_durability_is_refused_with_the_known_ones(value: object) -> None:
    with pytest.raises(InvalidArgument, match="'ring', 'written', 'synced'"):
        require_durability(value)
