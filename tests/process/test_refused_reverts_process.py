"""Which reverts are refused: those behind which somebody has built on something, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import pytest

import logstore
from logstore.errors import InvalidArgument
from tests.conftest import Serve
from tests.service import Service

pytestmark = pytest.mark.process


def payloads(records: Iterator[logstore.Record]) -> list[bytes]:
    return [bytes(record.payload) for record in records]


@pytest.mark.parametrize("what", ["a reservation", "a transaction", "a refused transaction"])
def test_a_revert_is_not_refused_because_something_has_come_to_nothing(
    what: str, log: logstore.Log
) -> None:
    lsns = log.append_many([b"kept", b"hidden"])
    if what == "a reservation":
        with suppress(InterruptedError), log.reserve(10):
            raise InterruptedError
    else:
        transaction = log.transaction()
        transaction.append(b"part")
        if what == "a transaction":
            transaction.abort()
        else:
            log.revert(log.append(b"hidden too"))
    log.sync()
    log.revert(lsns[1])
    assert payloads(log.read()) == [b"kept"]


def test_a_revert_is_not_refused_because_of_what_was_checkpointed_and_dropped_before_it(
    serve: Serve,
) -> None:
    with serve(segment_size=1 << 14, ring_size=1 << 16).attach() as log:
        log.group("orders").append_many([b"1", b"2"])
        lsns = [log.append(bytes(1000)) for _ in range(60)]
        log.group("orders").checkpoint(up_to=2)
        log.group("default").checkpoint(up_to=20)
        log.sync()
        log.compact(timeout=10.0)
        assert lsns[0] < log.watermarks().start < lsns[20]
        log.revert(lsns[20])
        assert len(list(log.read())) <= 20


@pytest.mark.parametrize("how", ["running", "stopped", "killed"])
def test_a_revert_below_a_checkpoint_is_refused_whatever_came_to_nothing_since(
    how: str, service: Service
) -> None:
    with service.attach() as log:
        lsns = log.append_many([b"1", b"2", b"3"])
        log.group("default").checkpoint_commands(2, done=[0], total=1)
        transaction = log.transaction()
        transaction.append(b"4")
        transaction.abort()
        if how == "killed":
            service.kill_all()
    if how == "stopped":
        assert service.stop() == 0
    if how != "running":
        service.start()
    with service.attach() as log:
        log.sync()
        head = log.watermarks().reserved
        for revert in (partial(log.revert, lsns[1]), partial(log.group("default").revert, 2)):
            with pytest.raises(InvalidArgument, match="record 2 of group 'default'"):
                revert()
        assert log.watermarks().reserved <= head + 48  # but for a mark
        log.revert(lsns[2])
        assert payloads(log.read()) == [b"1", b"2"]
