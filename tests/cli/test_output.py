"""How numbers are written for people."""

from __future__ import annotations

import pytest

from logstore.cli.output import column_lines, duration_text, quantile, size_text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (32 << 20, "32.0 MiB"), (3 << 40, "3.0 TiB")],
)
def test_sizes_have_a_unit_that_suits(count: int, text: str) -> None:
    assert size_text(count) == text


@pytest.mark.parametrize(
    ("nanoseconds", "text"), [(850, "850 ns"), (1_200, "1.2 us"), (2.5e6, "2.5 ms"), (3e9, "3.0 s")]
)
def test_durations_have_a_unit_that_suits(nanoseconds: float, text: str) -> None:
    assert duration_text(nanoseconds) == text


@pytest.mark.parametrize(
    ("histogram", "fraction", "bound"),
    [
        ([0, 0, 0], 0.5, None),
        ([10, 0, 0], 0.5, 2),
        ([1, 0, 99], 0.5, 8),
        ([99, 0, 1], 0.99, 2),
        ([99, 0, 1], 1.0, 8),
    ],
)
def test_a_quantile_is_the_upper_bound_of_its_bucket(
    histogram: list[int], fraction: float, bound: int | None
) -> None:
    assert quantile(histogram, fraction) == bound


def test_columns_line_up() -> None:
    rows = [("name", "n"), ("a", "100")]
    assert column_lines(rows, right=(1,)) == ["name    n", "a     100"]
