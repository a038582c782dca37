"""What every store shows of itself to the benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class Store(Protocol):
    """One process's way to one store."""

    def put(self, payload: bytes) -> None:
        """Add a record."""

    def put_many(self, payloads: list[bytes]) -> None:
        """Add records at once, in one transaction where the store has such."""

    def finish(self) -> None:
        """Make everything durable that was put."""

    def read(self) -> Iterator[bytes]:
        """Iterate over all payloads there are, in order."""

    def close(self) -> None:
        """Leave it."""
