"""A bench for each test of the ring."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from logstore.lsn import FIRST_LSN
from logstore.ring import slots
from logstore.ring._ring import LAYOUT
from logstore.ring.client import Client
from tests.ring.bench import Bench
from tests.ring.vigil import QUICK_NS, Vigil


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


@pytest.fixture
def vigil(bench: Bench, client: Client, tmp_path: Path) -> Iterator[Vigil]:
    """Return a bench whose one segment is a file, and whose disk has been quick so far."""
    path = tmp_path / "segment"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    slots.push(bench.ring, FIRST_LSN)
    bench.ring.store(LAYOUT["sync_recent_ns"], QUICK_NS)
    yield Vigil(bench, client, path, fd)
    os.close(fd)
