"""The committer, the syncer or the supervisor dies exactly at a named point, once, and is replaced:
nothing that was acknowledged is missing, whatever it was doing."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from logstore.files import Directory
from logstore.segments import manifest
from tests.conftest import Serve
from tests.crash.load import LARGEST, RING, WRAPPING, Load, nothing_is_lost, was_replaced_once
from tests.crash.test_compaction_points_crash import COMPACTION
from tests.crash.test_places_crash import JUDGED
from tests.crash.test_published_then_dead_crash import BLOCKED
from tests.crash.test_repair_points_crash import REPAIR
from tests.crash.test_torn_tail_crash import TORN
from tests.fail_points import FailPoints, points_in_python, until_fired
from tests.oracle import Oracle
from tests.service import Service

pytestmark = pytest.mark.crash

SILENCE_S = 2.0
SEGMENT = 1 << 14

COMMITTER = (
    "prepare.allocated:2",
    "rotate.header:2",
    "rotate.named:2",
    "rotate.pushed:2",
    "seal.footer:2",
    "seal.truncated:2",
    "seal.sealed:2",
    "manifest.written:2",
    "manifest.renamed:2",
    "drain.published:20",
    "drain.file:20",
    "drain.written:20",
    "mark.reserved:2",
    "guard.release",
    "reserve.header",
    "reserve.head",
    "publish.word",
)
SYNCER = ("sync.intent:3", "sync.file:3", "sync.done:3", "sync.published:3")
STOP_COMMITTER = (
    "stop.drained",
    "seal.footer",
    "seal.truncated",
    "seal.sealed",
    "manifest.written",
    "manifest.renamed",
    "stop.sealed",
    "stop.clean",
    "stop.closed",
)
STOP_SUPERVISOR = ("stop.awaited", "stop.workers")
START = (
    "prepare.allocated",
    "rotate.header",
    "rotate.named",
    "rotate.pushed",
    "drain.published",
    "drain.file",
    "drain.written",
    "seal.footer",
    "seal.truncated",
    "seal.sealed",
    "start.salvaged",
    "recover.sealed",
    "recover.done",
    "manifest.written",
    "manifest.renamed",
    "start.recovered",
    "start.unlinked",
    "create.allocated",
    "create.semaphore",
    "create.done",
    "start.workers",
    "start.running",
)
SIZES = ("0", "1", str(WRAPPING), str(LARGEST))

# One of each kind in every run; the others take as long, and are left to the full check.
EVERY_RUN = frozenset(
    {
        ("committer", "rotate.named:2"),
        ("committer", "rotate.pushed:2"),
        ("committer", "seal.sealed:2"),
        ("committer", "manifest.renamed:2"),
        ("committer", "drain.file:20"),
        ("committer", "reserve.head"),
        ("syncer", "sync.intent:3"),
        ("syncer", "sync.done:3"),
        ("committer", "manifest.renamed"),
        ("committer", "stop.sealed"),
        ("committer", "stop.clean"),
        ("supervisor", "stop.workers"),
        ("supervisor", "rotate.named"),
        ("supervisor", "start.salvaged"),
        ("supervisor", "recover.sealed"),
        ("supervisor", "start.recovered"),
        ("supervisor", "create.allocated"),
        ("supervisor", "create.done"),
        ("supervisor", "start.workers"),
    }
)


def cases(role: str, points: Iterable[str]) -> list[ParameterSet]:
    """Return parameters (role, point, sizes), those not for every run marked as slow."""
    found = []
    for point in points:
        marks = () if (role, point) in EVERY_RUN else pytest.mark.slow
        found.append(pytest.param(role, point, "0-900", marks=marks))
        found += [pytest.param(role, point, size, marks=pytest.mark.slow) for size in SIZES]
    return found


def test_every_point_in_python_is_tried_by_one_of_these_tests() -> None:
    tried = {*COMMITTER, *SYNCER, *STOP_COMMITTER, *STOP_SUPERVISOR, *START, *TORN}
    tried |= {*COMPACTION, *REPAIR, *BLOCKED, JUDGED}
    assert points_in_python() - {point.partition(":")[0] for point in tried} == set()


@pytest.mark.parametrize(
    ("role", "point", "sizes"), cases("committer", COMMITTER) + cases("syncer", SYNCER)
)
def test_a_worker_dies_at_a_point_and_everybody_goes_on(
    role: str,
    point: str,
    sizes: str,
    serve: Serve,
    oracle: Oracle,
    armed: FailPoints,
    tmp_path: Path,
) -> None:
    once = tmp_path / "once"
    service = serve(
        segment_size=SEGMENT,
        ring_size=RING,
        environment=armed.arm(point, role=role, once=once),
    )
    with service.attach() as log:
        Load(log, oracle, sizes).outlive(once)
        was_replaced_once(log, role)
    nothing_is_lost(service, oracle, SILENCE_S)


@pytest.mark.parametrize("empty", [False, True], ids=["with records", "with an empty segment"])
@pytest.mark.parametrize(
    ("role", "point", "sizes"),
    cases("committer", STOP_COMMITTER) + cases("supervisor", STOP_SUPERVISOR),
)
def test_a_process_dies_while_the_service_stops(
    role: str,
    point: str,
    sizes: str,
    empty: bool,
    serve: Serve,
    oracle: Oracle,
    armed: FailPoints,
    tmp_path: Path,
) -> None:
    if empty and point.startswith("seal."):
        pytest.skip("an empty segment is not sealed")
    once = tmp_path / "once"
    service = serve(environment=armed.arm(point, role=role, once=once))
    with service.attach() as log:
        load = Load(log, oracle, sizes)
        for _ in range(0 if empty else 5):
            load.turn()
        load.end()
    code = service.stop()
    until_fired(once)
    oracle.until_all_told()
    if role == "committer":
        assert code == 0
        assert "does not end" not in service.messages()
        found = manifest_of(service)
        assert found.clean
        assert len(found.sealed) == (0 if empty else 1)
    service.start()
    oracle.check(service.read_all())


def manifest_of(service: Service) -> manifest.Manifest:
    """Read the manifest of a service that has ended."""
    with Directory.open(service.path, create=False) as directory:
        found = manifest.load(directory)
    assert found is not None
    return found


@pytest.fixture
def killed(serve: Serve, oracle: Oracle, sizes: str) -> Iterator[tuple[Service, Load]]:
    """Return a service that was killed, all of it, while its ring was full of records."""
    service = serve(segment_size=SEGMENT, ring_size=RING)
    with service.attach() as log:
        load = Load(log, oracle, sizes)
    leave_records_in_the_ring(service, load)
    yield service, load
    load.end()


def leave_records_in_the_ring(service: Service, load: Load) -> None:
    """Append while the committer is stopped, then kill the whole service."""
    with service.attach() as log:
        load.attach(log)
        load.turn()
        service.send("supervisor", signal.SIGSTOP)
        service.send("committer", signal.SIGSTOP)
        while log.status().ring_used < SEGMENT * 2:
            load.writers[0].append_many()
            load.writers[0].reserve()
        service.kill_all()


@pytest.mark.parametrize(("role", "point", "sizes"), cases("supervisor", START))
def test_the_supervisor_dies_while_it_starts_after_a_crash(
    role: str,
    point: str,
    sizes: str,
    killed: tuple[Service, Load],
    oracle: Oracle,
    armed: FailPoints,
    tmp_path: Path,
) -> None:
    service, load = killed
    for number in (1, 2, 3):
        once = tmp_path / "once"
        service.environment = armed.arm(f"{point}:{number}", role=role, once=once)
        answer = service.try_start()
        if once.exists():
            assert answer == {}
            assert number > 1, f"{point} is never reached"
            break
        assert service.process is not None
        service.process.wait(10.0)
        service.environment = {}
        service.start()
        if number < 3:
            leave_records_in_the_ring(service, load)
    load.end()
    load.pipes = []
    oracle.until_all_told()
    oracle.check(service.read_all())
