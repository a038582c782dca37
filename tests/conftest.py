"""What all tests share: unique names, services and writers that are cleaned up, and the check that
nothing of ours is left behind."""

from __future__ import annotations

import itertools
import os
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

import psutil
import pytest

from tests.oracle import Oracle
from tests.service import Service, processes_of, shared_objects
from tests.writers import Writers

PREFIX: Final = f"t{os.getpid()}-"
"""Begins the names of all logs of this test run: several runs share one machine."""

_numbers: Final = itertools.count(1)

Serve: TypeAlias = Callable[..., Service]


def leftovers(base: Path) -> list[str]:
    """Return what this test run has left: shared memory, processes, threads of the library."""
    left = [f"/dev/shm/{name}" for name in shared_objects(PREFIX)]
    left += [f"pid {p.pid}: {p.info['cmdline']}" for p in processes_of(base)]
    names = [thread.name for thread in threading.enumerate()]
    return left + [f"thread {name}" for name in names if name.startswith(("logstore-", "chores"))]


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail the run if a process, a shared-memory object or a child of ours outlives it."""
    yield
    left = leftovers(tmp_path_factory.getbasetemp())
    children = psutil.Process().children(recursive=True)
    left += [f"child {child.pid}: {' '.join(child.cmdline())}" for child in children]
    assert not left, f"left behind: {left}"


@pytest.fixture(autouse=True)
def the_test_cleans_up(request: pytest.FixtureRequest) -> Iterator[None]:
    """Name the test that left something in shared memory or, if it starts any, a process."""
    yield
    left = [f"/dev/shm/{name}" for name in shared_objects(PREFIX)]
    node = request.node
    if node.get_closest_marker("process") or node.get_closest_marker("crash"):
        left = leftovers(request.getfixturevalue("tmp_path_factory").getbasetemp())
    assert not left, f"left behind: {left}"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return the path of a data directory that is not there yet; its name is this run's alone."""
    return tmp_path / f"{PREFIX}{next(_numbers)}"


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Path]:
    """Iterate over paths as `place`."""
    return (tmp_path / f"{PREFIX}{number}" for number in _numbers)


@pytest.fixture
def oracle() -> Oracle:
    """Return an oracle that has heard nothing."""
    return Oracle()


@pytest.fixture
def serve(places: Iterator[Path]) -> Iterator[Serve]:
    """Return a function that starts a service in a new directory; all are ended afterwards."""
    services = []

    def start(
        path: Path | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        **options: object,
    ) -> Service:
        where = path or next(places)
        service = Service(where, where.name, options, environment or {})
        services.append(service)
        return service.start()

    yield start
    for service in services:
        service.clean_up()


@pytest.fixture
def clean_place(place: Path) -> Iterator[Path]:
    """Return a path as `place`; whatever service is started there is ended afterwards."""
    yield place
    Service(place, place.name).clean_up()


@pytest.fixture
def writers(oracle: Oracle) -> Iterator[Writers]:
    """Return an empty set of writers, ended afterwards."""
    started = Writers(oracle)
    yield started
    started.clean_up()


@pytest.fixture
def seed() -> int:
    """Return a seed, printed if the test fails; LOGSTORE_TEST_SEED repeats a run."""
    chosen = int(os.environ.get("LOGSTORE_TEST_SEED") or random.randrange(1 << 32))
    print(f"seed {chosen}: LOGSTORE_TEST_SEED={chosen} repeats this")
    return chosen
