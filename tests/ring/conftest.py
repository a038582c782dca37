"""A bench for each test of the ring."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from logstore.ring.client import Client
from tests.ring.bench import Bench


@pytest.fixture
def bench(place: Path) -> Iterator[Bench]:
    """Return a region of which the test is the committer."""
    made = Bench(place)
    yield made
    made.close()


@pytest.fixture
def client(bench: Bench) -> Client:
    """Return a client of the bench's region."""
    return bench.attach()
