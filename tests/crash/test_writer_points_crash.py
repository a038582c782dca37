"""A writer dies exactly at a named point of its append: the log goes on at once, and holds the
record or does not, but nothing else changes."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from logstore import Log, Record
from tests.conftest import Serve
from tests.crash.test_vigil_points_crash import IN_A_VIGIL
from tests.fail_points import IN_FLIGHT, IN_GUARD, FailPoints, points_in_c
from tests.oracle import Oracle
from tests.service import Service
from tests.writers import Nursery, Writers

pytestmark = pytest.mark.crash

GOES_ON_S = 2.0
RING = 1 << 16
WRAPPING = 9000
OURS = b"~"  # begins what the test itself appends

IN_AN_APPEND = (*IN_GUARD, *IN_FLIGHT, "publish.published")
ELSEWHERE = ("abort.zeroed", "repair.redone", "drain.written", "sync.done", "sync.published")
OF_A_REVERT = ("revert.published",)  # tests/crash/test_revert_points_crash.py
AT_ONCE = ("guard.token", "reserve.header", "reserve.head", "fill.copied", "publish.word:2")
IN_A_BATCH = ("reserve.head", "fill.begin", "publish.word:2", "publish.word:5", "fill.copied")


def go_to(log: Log, offset: int) -> None:
    """Append until the next record begins near a place in the ring."""
    while (need := (offset - log.watermarks().reserved) % RING) > 200:
        size = min(need - 100, RING // 4 - 100)
        log.append(OURS * size, durability="written", timeout=5)


def theirs(records: list[Record]) -> list[Record]:
    """Leave out what the test appended."""
    return [record for record in records if bytes(record.payload[:1]) != OURS]


def die(nursery: Nursery, log: Log, point: str, *flags: str) -> None:
    """Run a writer that dies at its point, and see that the log goes on."""
    try:
        assert nursery.run(log.name, *flags, point=point) == -signal.SIGKILL
        log.append(OURS, durability="synced", timeout=GOES_ON_S)
    except BaseException as error:
        error.add_note(f"at {point} with {flags}")
        raise


def judge(service: Service, oracle: Oracle) -> None:
    """Compare with the oracle, now and after everybody else was killed, too."""
    oracle.until_all_told()
    records = service.read_all()
    oracle.check(theirs(records))
    service.kill_all()
    service.start()
    assert service.read_all() == records


@pytest.fixture
def small(serve: Serve) -> Callable[[], Service]:
    """Return a function that starts a service with the smallest ring."""
    return lambda: serve(ring_size=RING, segment_size=1 << 20)


def test_every_point_of_the_ring_is_tried_by_one_of_these_tests() -> None:
    of_a_vigil = {point for _, point in IN_A_VIGIL}
    assert points_in_c() == {*IN_AN_APPEND, *ELSEWHERE, *OF_A_REVERT, *of_a_vigil}


@pytest.mark.parametrize("size", [0, 1, WRAPPING, RING // 4 - 32])
def test_a_writer_dies_at_each_point_of_an_append_of_one_size(
    size: int,
    small: Callable[[], Service],
    writers: Writers,
    oracle: Oracle,
    armed: FailPoints,
) -> None:
    service = small()
    with service.attach() as log, writers.nursery(armed.arm("")) as nursery:
        for point in IN_AN_APPEND:
            go_to(log, RING - size // 2 - 8)
            die(nursery, log, point, "--sizes", str(size))
        go_to(log, RING - size // 2 - 8)
        give_up = ("--reserve", "--abort-every", "1", "--sizes", str(size))
        die(nursery, log, "abort.zeroed", *give_up)
    judge(service, oracle)


@pytest.mark.parametrize("sizes", ["0", "1,0,7", "3000,0,2000,1,3900"])
def test_a_writer_dies_at_each_point_of_append_many_and_the_batch_is_all_or_nothing(
    sizes: str,
    small: Callable[[], Service],
    writers: Writers,
    oracle: Oracle,
    armed: FailPoints,
) -> None:
    service = small()
    with service.attach() as log, writers.nursery(armed.arm("")) as nursery:
        for point in IN_A_BATCH:
            go_to(log, RING - 4500)
            die(nursery, log, point, "--batch", "5", "--sizes", sizes)
    judge(service, oracle)


def test_a_writer_dies_and_then_everybody_else_before_anything_is_mended(
    small: Callable[[], Service], writers: Writers, oracle: Oracle, armed: FailPoints
) -> None:
    die_with_everybody(AT_ONCE, small(), writers, oracle, armed)


@pytest.mark.slow
def test_a_writer_dies_at_any_point_and_then_everybody_else(
    small: Callable[[], Service], writers: Writers, oracle: Oracle, armed: FailPoints
) -> None:
    die_with_everybody((*IN_AN_APPEND, *IN_A_BATCH), small(), writers, oracle, armed)


def die_with_everybody(
    points: tuple[str, ...],
    service: Service,
    writers: Writers,
    oracle: Oracle,
    armed: FailPoints,
) -> None:
    """At each point kill a writer and then the service, which had no time to mend anything."""
    with writers.nursery(armed.arm("")) as nursery:
        for point in points:
            with service.attach() as log:
                go_to(log, RING - 4500)
            assert nursery.run(service.name, "--count", "20") == 0
            # Stopped in this order nobody can abort the frame, and nobody can free the guard.
            for role in ("supervisor", "committer"):
                service.send(role, signal.SIGSTOP)
            flags = ("--batch", "5") if ":" in point else ()
            code = nursery.run(service.name, *flags, "--sizes", "3000", point=point)
            assert code == -signal.SIGKILL
            service.kill_all()
            service.start()
            with service.attach() as log:
                assert log.append(OURS, durability="synced", timeout=GOES_ON_S)
    oracle.until_all_told()
    oracle.check(theirs(service.read_all()))


@pytest.mark.parametrize("killed", ["guard.release", "reserve.head"])
def test_a_writer_dies_while_it_repairs_the_guard_of_another_dead_writer(
    killed: str,
    small: Callable[[], Service],
    writers: Writers,
    oracle: Oracle,
    armed: FailPoints,
) -> None:
    service = small()
    service.send("supervisor", signal.SIGSTOP)  # or it would be quicker
    with service.attach() as log, writers.nursery(armed.arm("")) as nursery:
        assert nursery.run(service.name, point=killed) == -signal.SIGKILL
        die(nursery, log, "repair.redone")
        # And once more, with no supervisor at all.
        service.kill("supervisor")
        assert nursery.run(service.name, point=killed) == -signal.SIGKILL
        die(nursery, log, "repair.redone")
    service.start()
    judge(service, oracle)
