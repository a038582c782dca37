"""kill -9 of one process under load: the others go on within a second, and nothing is lost."""

from __future__ import annotations

import signal
import time

import pytest

from tests.conftest import Serve
from tests.oracle import Oracle
from tests.service import Service, kill
from tests.writers import Writers

pytestmark = pytest.mark.crash

ACK_S = 2.0  # a second is promised; two processes start meanwhile on a machine that others use too


def load(service: Service, writers: Writers) -> list[int]:
    """Start one writer of each kind, and wait until all are at work."""
    started = [
        writers.start(service.name, "--durability", "synced"),
        writers.start(service.name, "--durability", "written", "--sizes", "0-3000", "--seed", "1"),
        writers.start(service.name, "--batch", "7", "--sizes", "0-300", "--sync-every", "4"),
        writers.start(service.name, "--reserve", "--sizes", "0,1,5000", "--sync-every", "16"),
    ]
    for writer in started:
        writers.oracle.until_acked(writer, 50)
    return started


def judge(service: Service, writers: Writers, survivors: list[int]) -> None:
    """Stop all writers, and compare the log with what they reported."""
    writers.stop(*survivors)
    writers.oracle.until_all_told()
    writers.oracle.check(service.read_all())
    assert service.stop() == 0
    service.start()
    writers.oracle.check(service.read_all())


@pytest.mark.parametrize("role", ["committer", "syncer"])
def test_a_worker_is_killed_and_everybody_goes_on(
    role: str, serve: Serve, writers: Writers, oracle: Oracle
) -> None:
    service = serve(segment_size=1 << 18, ring_size=1 << 20)
    survivors = load(service, writers)
    for _ in range(3):
        killed_ns = time.monotonic_ns()
        old = service.kill(role)
        oracle.until_acked_after(survivors, killed_ns, ACK_S)
        service.until_restarted(role, old)
    judge(service, writers, survivors)


@pytest.mark.parametrize("role", ["syncer", pytest.param("committer", marks=pytest.mark.slow)])
def test_a_worker_that_had_got_to_work_is_replaced_at_once_however_often_it_dies(
    role: str, serve: Serve
) -> None:
    service = serve()
    with service.attach() as log:
        for _ in range(
            9
        ):  # one that dies before it has done anything waits twice as long each time
            log.append(b"before", durability="synced", timeout=ACK_S)
            service.kill(role)
            log.append(b"after", durability="synced", timeout=ACK_S)


def test_the_supervisor_is_killed_and_the_log_goes_on_until_a_new_one_adopts_it(
    serve: Serve, writers: Writers, oracle: Oracle
) -> None:
    service = serve(segment_size=1 << 18, ring_size=1 << 20)
    survivors = load(service, writers)
    workers = [service.pid("committer"), service.pid("syncer")]
    killed_ns = time.monotonic_ns()
    service.kill("supervisor")
    oracle.until_acked_after(survivors, killed_ns, ACK_S)
    service.start()
    assert [service.pid("committer"), service.pid("syncer")] == workers
    killed_ns = time.monotonic_ns()
    service.until_restarted("committer", service.kill("committer"))
    oracle.until_acked_after(survivors, killed_ns, ACK_S)
    judge(service, writers, survivors)


def test_a_writer_that_holds_a_reservation_is_killed_and_its_record_is_aborted(
    serve: Serve, writers: Writers, oracle: Oracle
) -> None:
    service = serve(segment_size=1 << 18, ring_size=1 << 20)
    survivors = load(service, writers)
    holder = writers.start(service.name, "--hold-after", "3", "--sizes", "5000")
    lsn = oracle.until_held(holder)
    with service.attach() as log:
        blocked_ns = time.monotonic_ns()
        assert log.watermarks().written <= lsn  # it holds everybody up, because it lives
        kill(writers.pid(holder))
        oracle.until_acked_after(survivors, blocked_ns, ACK_S)
        assert log.status().counters["aborts"] >= 1
    judge(service, writers, survivors)


def test_everybody_is_killed_at_once_and_nothing_appended_is_lost(
    serve: Serve, writers: Writers, oracle: Oracle
) -> None:
    service = serve(segment_size=1 << 18, ring_size=1 << 20)
    for _ in range(3):
        load(service, writers)
        writers.kill()
        service.kill_all()
        oracle.until_all_told()
        oracle.forget_absences()
        service.start()
        oracle.check(service.read_all())
        service.kill_all()
        service.start()
        oracle.check(service.read_all())


def test_a_ring_that_fills_more_segments_than_the_syncer_may_be_behind_is_salvaged(
    serve: Serve, writers: Writers, oracle: Oracle
) -> None:
    service = serve(segment_size=1 << 13, ring_size=1 << 20)
    writer = writers.start(service.name, "--count", "20")
    writers.expect(writer, 0)
    for role in ("supervisor", "committer"):
        service.send(role, signal.SIGSTOP)
    writer = writers.start(service.name, "--sizes", "500-4000", "--count", "400")
    writers.expect(writer, 0)
    with service.attach() as log:
        assert log.status().ring_used > 64 * (1 << 13)
    service.kill_all()
    oracle.until_all_told()
    service.start()
    assert len(oracle.check(service.read_all())) == 420
