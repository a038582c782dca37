"""What all tests share: unique names, services and writers that are cleaned up, and the check that
nothing of ours is left behind."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

import psutil
import pytest
from hypothesis import settings

from tests.oracle import Oracle
from tests.service import Service, processes_of, shared_objects
from tests.writers import Writers

# The same examples each time, so that what lands was tried as it is; HYPOTHESIS_PROFILE=random
# looks for new ones, and prints how to repeat what it finds.
# No deadlines: how long an example takes says only what else the machine does.
settings.register_profile("same", derandomize=True, database=None, deadline=None)
settings.register_profile("random", print_blob=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# A shell that starts us in the background has Ctrl-C ignored, by us and by all that we start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

PREFIX: Final = f"t{os.getpid()}-"
"""Begins the names of all logs of this test run: several runs share one machine."""

ENDING_S: Final = 3.0

_numbers: Final = itertools.count(1)

Serve: TypeAlias = Callable[..., Service]


_shared: Final[list[Path]] = []
"""Directories whose service outlives a single test, and is ended with its module."""


def leftover_memory() -> list[str]:
    """Return what this test run has left in shared memory."""
    names = shared_objects(PREFIX)
    return [
        f"/dev/shm/{name}" for name in names if not name.endswith(tuple(p.name for p in _shared))
    ]


def leftovers(base: Path) -> list[str]:
    """Return what this test run has left: shared memory, processes, threads of the library."""
    left = leftover_memory()
    kept = {process.pid for path in _shared for process in processes_of(path)}
    others = [process for process in processes_of(base) if process.pid not in kept]
    left += [f"pid {process.pid}: {process.info['cmdline']}" for process in others]
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
    left = leftover_memory()
    node = request.node
    if node.get_closest_marker("process") or node.get_closest_marker("crash"):
        base = request.getfixturevalue("tmp_path_factory").getbasetemp()
        # What has said its last word may need a moment to end.
        deadline = time.monotonic() + ENDING_S
        while (left := leftovers(base)) and time.monotonic() < deadline:
            time.sleep(0.01)
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


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a service that all tests of a module use; none of them may stop it."""
    path = tmp_path_factory.mktemp("shared") / f"{PREFIX}shared-{next(_numbers)}"
    service = Service(path, path.name, {"ring_size": 1 << 20, "segment_size": 1 << 18})
    _shared.append(path)
    try:
        yield service.start()
    finally:
        service.clean_up()
        _shared.remove(path)


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
