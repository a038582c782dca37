"""Reverts while somebody waits, and while one record holds up all that come after it.

Somebody holds a reservation: nothing behind it is published, so everybody waits until he is killed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import logstore
from logstore.errors import RevertedError, Timeout
from logstore.lsn import DURABILITIES
from logstore.ring._ring import LAYOUT
from tests.model.parties import There
from tests.programs.party import Party
from tests.service import until

pytestmark = pytest.mark.process


def payloads(records: Iterator[logstore.Record]) -> list[bytes]:
    return [bytes(record.payload) for record in records]


def newest(log: logstore.Log) -> int:
    return log._ring.load(LAYOUT["newest_revert_lsn"])


def test_who_waits_for_a_record_that_is_reverted_meanwhile_is_told(
    log: logstore.Log, there: There
) -> None:
    kept, first = log.append_many([b"kept", b"hidden, too"], durability="synced")
    held = there.do(Party.hold, "default", 10)
    hidden = log.append(b"hidden")
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(log.wait, lsn) for lsn in (kept, hidden)]
        with pytest.raises(Timeout):
            log.wait(hidden, timeout=0.01)
        reverting = pool.submit(log.revert, first)
        until(lambda: log._ring.load(LAYOUT["newest_revert_lsn"]) > hidden, "the revert")
        after = log.append(b"after")
        waiting.append(pool.submit(log.wait, after))
        there.kill()
        assert reverting.result(10.0) > hidden > held
        waiting[0].result(10.0)
        with pytest.raises(RevertedError):
            waiting[1].result(10.0)
        waiting[2].result(10.0)
    assert payloads(log.read()) == [b"kept", b"after"]


def test_an_asynchronous_wait_for_a_record_that_is_reverted_meanwhile_is_told(
    log: logstore.Log, there: There
) -> None:
    first = log.append(b"hidden, too", durability="synced")
    there.do(Party.hold, "default", 10)
    hidden = log.append(b"hidden")

    async def wait() -> None:
        loop = asyncio.get_running_loop()
        waiting = asyncio.ensure_future(log.aio.wait(hidden))
        reverting = loop.run_in_executor(None, log.revert, first)
        await loop.run_in_executor(None, until, lambda: newest(log) > hidden, "the revert")
        there.kill()
        await reverting
        with pytest.raises(RevertedError):
            await waiting

    asyncio.run(asyncio.wait_for(wait(), 10.0))


def test_a_sync_that_a_revert_overtakes_says_up_to_where_all_is_durable(
    log: logstore.Log, there: There
) -> None:
    first = log.append(b"hidden", durability="synced")
    there.do(Party.hold, "default", 10)
    lsns = log.append_many([bytes(100)] * 5)
    end = log.watermarks().reserved
    with ThreadPoolExecutor(2) as pool:
        syncing = pool.submit(log.sync)
        until(lambda: log._ring.load(LAYOUT["sync_request"]) > lsns[-1], "the sync has begun")
        reverting = pool.submit(log.revert, first)
        until(lambda: newest(log) >= end, "the revert")
        there.kill()
        assert syncing.result(10.0) == end
        reverting.result(10.0)


def test_a_revert_that_is_not_durable_yet_keeps_nobody_from_reading(
    log: logstore.Log, there: There
) -> None:
    kept, hidden = log.append_many([b"kept", b"hidden"], durability="synced")
    there.do(Party.hold, "default", 10)
    with ThreadPoolExecutor(2) as pool:
        reverting = pool.submit(log.revert, hidden)
        until(lambda: newest(log) > hidden, "the revert")
        try:
            found = pool.submit(payloads, log.read()).result(5.0)
        finally:
            there.kill()
        assert found == [b"kept"]
        reverting.result(10.0)
    assert log.load(kept).payload == b"kept"


def test_who_waits_for_a_record_that_was_reverted_long_ago_is_told(log: logstore.Log) -> None:
    kept, hidden = log.append_many([b"kept", b"hidden"], durability="synced")
    log.revert(hidden)
    log.wait(kept)
    for timeout in (None, 1.0):
        with pytest.raises(RevertedError):
            log.wait(hidden, timeout=timeout)
    with pytest.raises(RevertedError):
        log.wait(hidden, "ring")
    log.wait(log.append(b"after"))


def test_a_revert_of_the_default_group_hides_no_commit(log: logstore.Log) -> None:
    first = log.append(b"hidden")
    with log.transaction() as transaction:
        transaction.append(b"hidden, too")
        transaction.append(b"kept", group="orders")
    orders = log.group("orders").append(b"kept as well")
    assert transaction.lsn is not None
    log.group("default").revert(1)
    for durability in DURABILITIES:
        log.wait(transaction.lsn, durability)
        log.wait(orders, durability)
        for lsn in (first, transaction.id):
            with pytest.raises(RevertedError):
                log.wait(lsn, durability)
    asyncio.run(asyncio.wait_for(log.aio.wait(transaction.lsn), 10.0))
    assert payloads(log.read()) == [b"kept", b"kept as well"]
    assert payloads(log.read(reverse=True)) == [b"kept as well", b"kept"]
    applied: list[bytes] = []
    log.replay("orders", lambda record: applied.append(bytes(record.payload)))
    log.replay("default", lambda record: applied.append(bytes(record.payload)))
    assert applied == [b"kept", b"kept as well"]


def test_a_revert_of_the_log_hides_a_commit_but_no_checkpoint_and_no_revert(
    log: logstore.Log,
) -> None:
    log.append(b"kept")
    with log.transaction() as transaction:
        transaction.append(b"hidden with its commit")
        place = log.append(b"hidden")
    checkpoint = log.group("default").checkpoint(up_to=1)
    earlier = log.revert(log.append(b"hidden before"))
    log.revert(place)
    assert transaction.lsn is not None
    with pytest.raises(RevertedError):
        log.wait(transaction.lsn)
    log.wait(checkpoint)
    log.wait(earlier)
    assert log.group("default").checkpoints().ranges[0] == (1, 1)
    assert payloads(log.read()) == [b"kept"]
