"""How commands print: one JSON object a line for programs, aligned columns for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import click
import msgspec

JSON_VERSION: Final = 1
"""Grows when a field changes its meaning or goes away; new fields do not change it."""

_STEPS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


def print_json(value: dict[str, Any]) -> None:
    """Print one object on one line, with the version of this output first."""
    click.echo(msgspec.json.encode({"version": JSON_VERSION, **value}).decode())


def size_text(count: float) -> str:
    """Write a number of bytes with a unit that suits it: 512 B, 1.5 MiB."""
    for unit in _STEPS[:-1]:
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} {_STEPS[-1]}"


def duration_text(nanoseconds: float) -> str:
    """Write a duration with a unit that suits it: 850 ns, 1.2 ms, 3.0 s."""
    for limit, divisor, unit in ((1e3, 1, "ns"), (1e6, 1e3, "us"), (1e9, 1e6, "ms")):
        if nanoseconds < limit:
            value = nanoseconds / divisor
            return f"{value:.0f} {unit}" if unit == "ns" else f"{value:.1f} {unit}"
    return f"{nanoseconds / 1e9:.1f} s"


def count_text(count: int) -> str:
    """Write a large number in groups of three digits."""
    return f"{count:,}"


def plural(count: int, noun: str) -> str:
    """Write a number with its noun: 1 record, 2 records."""
    return f"{count_text(count)} {noun}{'' if count == 1 else 's'}"


def print_columns(rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Print rows in aligned columns; the columns in `right` are aligned to the right."""
    for line in column_lines(rows, right=right):
        click.echo(line)


def column_lines(rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Align rows in columns of plain text, two spaces apart."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def quantile(histogram: Sequence[int], fraction: float) -> int | None:
    """Return the upper bound of the log2 bucket that holds this quantile, None if all are empty.

    Bucket i counts values from 2**i up to 2**(i+1).
    """
    wanted = fraction * sum(histogram)
    seen = 0
    for index, count in enumerate(histogram):
        seen += count
        if count and seen >= wanted:
            return int(1 << (index + 1))
    return None
