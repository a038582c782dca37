"""Consumers are killed, and so is the service: others take over, and every record is delivered."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice, pairwise

import pytest

import logstore
from tests.conftest import Serve
from tests.service import Service, environment

pytestmark = [pytest.mark.crash, pytest.mark.process]


class Consumers:
    """The consumer programs of one test."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[str]] = []

    def start(self, service: Service) -> subprocess.Popen[str]:
        """Start a consumer; it holds the cursor on return."""
        command = [sys.executable, "-P", "-m", "tests.programs.consumer", service.name, "billing"]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
        )
        self.started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        return process

    def clean_up(self) -> None:
        """End all of them."""
        for process in self.started:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()


@pytest.fixture
def consumers() -> Iterator[Consumers]:
    started = Consumers()
    yield started
    started.clean_up()


def numbers_of(process: subprocess.Popen[str], last: int | None = None) -> list[int]:
    """Return what a consumer says it is done with, up to a number or to its end."""
    assert process.stdout is not None
    found: list[int] = []
    for line in process.stdout:
        if line.endswith("\n"):  # or it was killed in the middle of it
            found.append(int(line))
        if found and found[-1] == last:
            break
    return found


def append(log: logstore.Log, first: int, last: int) -> None:
    log.append_many([b"%d" % number for number in range(first, last + 1)])


def test_when_the_holder_is_killed_another_takes_over_at_once(
    serve: Serve, consumers: Consumers
) -> None:
    service = serve()
    with service.attach() as log:
        append(log, 1, 30_000)  # more than fits into a pipe, so the holder is in the middle of it
        holder = consumers.start(service)
        with pytest.raises(logstore.InUse) as caught:
            log.cursor("billing")
        assert caught.value.pid == holder.pid
        done = numbers_of(holder, last=500)
        holder.kill()
        holder.wait()
        with log.cursor("billing") as cursor:  # the first attempt
            rest = [int(record.payload) for record in cursor.records(timeout=0.05)]
    done += numbers_of(holder)
    assert done == list(range(1, done[-1] + 1))
    # What the killed one did since its last saving comes again, and nothing is left out.
    assert rest == list(range(rest[0], 30_001))
    assert rest[0] <= done[-1] + 1


@pytest.mark.parametrize("at_once", [False, True], ids=["after the consumer", "with the consumer"])
def test_after_a_kill_of_everything_each_record_is_delivered_at_least_once(
    serve: Serve, consumers: Consumers, at_once: bool
) -> None:
    service = serve(segment_size=1 << 16)
    done: list[int] = []
    last = 0
    for _ in range(4):
        with service.attach() as log:
            append(log, last + 1, last + 2000)
            last += 2000
            consumer = consumers.start(service)
            done += numbers_of(consumer, last=last - 700)
            if not at_once:
                consumer.kill()
                consumer.wait()
        service.kill_all()
        consumer.kill()
        done += numbers_of(consumer)
        service.start()
    with service.attach() as log, log.cursor("billing") as cursor:
        log.sync()
        done += [int(record.payload) for record in cursor.records(timeout=0.05)]
    assert set(done) == set(range(1, last + 1))
    # It goes back, to what was saved last, but it never leaves anything out on its way.
    gaps = [(a, b) for a, b in pairwise(done) if b > a + 1]
    assert gaps == []


def test_a_consumer_that_outlives_the_service_closes_and_gets_again_what_was_not_synced(
    serve: Serve,
) -> None:
    service = serve()
    with service.attach() as log:
        append(log, 1, 5)
        log.sync()
        with log.cursor("c", durability="ring", save_interval_s=1000) as cursor:
            service.send("syncer", signal.SIGSTOP)
            append(log, 6, 10)
            for record in islice(cursor, 10):
                cursor.advance(record)
            service.kill_all()
    service.start()
    with service.attach() as log, log.cursor("c", durability="ring") as cursor:
        rest = [int(record.payload) for record in cursor.records(timeout=0.05)]
    assert rest == list(range(1, 11))
