"""Sizes that several workloads need."""

from __future__ import annotations

from typing import Final

HEADER: Final = 32
MIB: Final = 1 << 20


def span(size: int) -> int:
    """Return the bytes that a record takes in the log."""
    return (HEADER + size + 7) & ~7


def writers_word(writers: int) -> str:
    """Return "1 writer", "2 writers" and so on."""
    return f"{writers} writer{'s' * (writers > 1)}"
