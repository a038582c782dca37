"""The demo's input: the lines of Python's own standard library, shared out among the writers."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

_HEAD: Final = struct.Struct("<BI")
_SKIPPED: Final = {"site-packages", "dist-packages", "__pycache__"}


@dataclass(frozen=True, slots=True)
class Writer:
    """One writer of the demo.

    Attributes:
        number: Its place in the list, and the first byte of its records.
        batch: How many lines it appends at once and then waits for.
        line_count: How many lines it writes at most.
        share: Which files it takes: those whose number modulo 16 is among these.
    """

    number: int
    batch: int
    line_count: int
    share: frozenset[int]

    def lines(self) -> Iterator[bytes]:
        """Yield this writer's lines, newline included; the same ones each time."""
        mine = (path for number, path in enumerate(_sources()) if number % 16 in self.share)
        return islice((line for path in mine for line in _lines_of(path)), self.line_count)

    def records(self) -> Iterator[bytes]:
        """Yield the payloads to append: writer, number of the line, line."""
        return (_HEAD.pack(self.number, number) + line for number, line in enumerate(self.lines()))


def writers(line_count: int) -> tuple[Writer, ...]:
    """Share about `line_count` lines out: two write batches, two wait for every record."""
    batched, single = round(line_count * 0.475), round(line_count * 0.025)
    return (
        Writer(0, 64, batched, frozenset({0, 2, 4, 6, 8, 10, 12})),
        Writer(1, 64, batched, frozenset({1, 3, 5, 7, 9, 11, 13})),
        Writer(2, 1, single, frozenset({14})),
        Writer(3, 1, single, frozenset({15})),
    )


def take_apart(payload: bytes) -> tuple[int, int, bytes]:
    """Return writer, number of the line, and the line of a record."""
    writer, number = _HEAD.unpack_from(payload)
    return writer, number, payload[_HEAD.size :]


def _sources() -> Iterator[Path]:
    for folder, folders, files in os.walk(Path(os.__file__).parent):
        folders[:] = sorted(set(folders) - _SKIPPED)
        yield from (Path(folder, name) for name in sorted(files) if name.endswith(".py"))


def _lines_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file
