"""Reverts while others read, wait and commit: what is hidden is hidden at once, and stays so."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator

import pytest

import logstore
from logstore.errors import LimitReached, RevertedError
from logstore.payloads import EVERY_GROUP, Interval, encode_revert
from logstore.ring._ring import LAYOUT
from tests.conftest import Serve
from tests.model.parties import There
from tests.programs.party import Party
from tests.service import Service

pytestmark = pytest.mark.process


def payloads(records: Iterator[logstore.Record]) -> list[bytes]:
    return [bytes(record.payload) for record in records]


def newest(log: logstore.Log) -> int:
    return log._ring.load(LAYOUT["newest_revert_lsn"])


def transact(log: logstore.Log, parts: list[bytes], between: Callable[[], int]) -> int:
    """Commit a transaction; before its commit something else is appended: return that's LSN."""
    with log.transaction() as transaction:
        for part in parts:
            transaction.append(part)
        return between()


def test_a_reading_gives_nothing_that_was_reverted_since_it_began(log: logstore.Log) -> None:
    lsns = log.append_many([b"%d" % n for n in range(9)], durability="synced")
    reading = log.read()
    assert payloads(itertools.islice(reading, 3)) == [b"0", b"1", b"2"]
    log.revert(lsns[5])
    assert payloads(reading) == [b"3", b"4"]


def test_a_reading_from_another_process_gives_nothing_that_was_reverted_since_it_began(
    log: logstore.Log, there: There
) -> None:
    lsns = log.append_many([b"%d" % n for n in range(9)], durability="synced")
    there.do(Party.start_reading, 1)
    assert len(there.do(Party.go_on_reading, 1, 3)) == 3
    log.revert(lsns[5])
    assert [row.payload for row in there.do(Party.go_on_reading, 1, 9)] == [b"3", b"4"]


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_a_reading_that_has_a_transaction_in_hand_gives_no_more_of_it_once_its_commit_is_reverted(
    log: logstore.Log, taken: int
) -> None:
    log.append(b"before")
    lsn = transact(log, [b"one", b"two", b"three"], lambda: log.append(b"between"))
    log.sync()
    reading = log.read()
    found = payloads(itertools.islice(reading, 2 + taken))
    assert found == [b"before", b"between", b"one", b"two"][: 2 + taken]
    log.revert(lsn)  # behind the parts, before the commit
    assert payloads(reading) == []


@pytest.mark.parametrize("taken", [1, 50, 70, 75, 80, 85, 99])
def test_a_reading_in_the_middle_of_a_huge_transaction_gives_no_more_of_it_once_it_is_reverted(
    taken: int, serve: Serve
) -> None:
    # More than a reader remembers of open transactions: it reads the parts again at the commit.
    with serve(ring_size=1 << 20, segment_size=1 << 20).attach() as log:
        lsn = transact(log, [bytes(60_000)] * 100, lambda: log.append(b"between"))
        log.sync()
        reading = log.read()
        assert len(list(itertools.islice(reading, 1 + taken))) == 1 + taken
        log.revert(lsn)
        assert payloads(reading) == []


def test_a_follower_gives_nothing_that_was_reverted(log: logstore.Log) -> None:
    lsns = log.append_many([b"%d" % n for n in range(9)], durability="synced")
    following = log.follow(lsns[0], timeout=0.0)
    assert payloads(itertools.islice(following, 3)) == [b"0", b"1", b"2"]
    log.revert(lsns[5])
    log.append(b"after", durability="synced")
    assert payloads(following) == [b"3", b"4", b"after"]


def test_an_asynchronous_follower_gives_nothing_that_was_reverted(log: logstore.Log) -> None:
    lsns = log.append_many([b"%d" % n for n in range(9)], durability="synced")

    async def follow() -> list[bytes]:
        found: list[bytes] = []
        async for record in log.aio.follow(lsns[0]):
            found.append(bytes(record.payload))
            if len(found) == 3:
                log.revert(lsns[5])
                log.append(b"after", durability="synced")
            if record.payload == b"after":
                break
        return found

    found = asyncio.run(asyncio.wait_for(follow(), 10.0))
    assert found == [b"0", b"1", b"2", b"3", b"4", b"after"]


def test_a_commit_is_refused_after_a_revert_even_of_what_came_later(log: logstore.Log) -> None:
    transaction = log.transaction()
    transaction.append(b"part")
    log.revert(log.append(b"hidden"))
    transaction.append(b"another part")
    with pytest.raises(RevertedError):
        transaction.commit()
    log.sync()
    assert payloads(log.read(reverted=True)) == [b"hidden"]
    assert payloads(log.read(uncommitted=True)) == [b"part", b"another part"]
    with log.transaction() as transaction:
        transaction.append(b"begun since")
    log.sync()
    assert payloads(log.read()) == [b"begun since"]


def test_reverts_add_up(log: logstore.Log) -> None:
    lsns = []
    for n in range(40):
        lsns.append(log.append(b"%d" % n))
        if n % 4 == 3:
            log.revert(lsns[-2])
        if n == 20:
            log.revert(lsns[10])
    log.sync()
    expected = [n for n in range(40) if (n < 10 and n % 4 < 2) or (n > 20 and n % 4 < 2)]
    assert payloads(log.read()) == [b"%d" % n for n in expected]
    assert payloads(log.read(reverted=True)) == [b"%d" % n for n in range(40)]
    for n, lsn in enumerate(lsns):
        if n in expected:
            assert log.load(lsn).payload == b"%d" % n
        else:
            with pytest.raises(RevertedError):
                log.load(lsn)


# What outlives what.


def test_reverts_outlive_the_service_as_long_as_somebody_is_attached(
    service: Service, log: logstore.Log
) -> None:
    lsns = log.append_many([b"kept", b"hidden"])
    log.revert(lsns[1])
    transaction = log.transaction()
    transaction.append(b"part")
    service.kill_all()
    service.start()
    transaction.commit(durability="synced")
    assert payloads(log.read()) == [b"kept", b"part"]


def test_a_revert_is_seen_although_its_process_was_killed_before_it_had_counted_it(
    log: logstore.Log, there: There
) -> None:
    kept, hidden = log.append_many([b"kept", b"hidden"], durability="synced")
    reading = log.read()
    assert next(reading).lsn == kept
    count = log._ring.load(LAYOUT["revert_count"])
    there.do(Party.revert, hidden)
    log._ring.store(LAYOUT["revert_count"], count)  # as it is then
    assert payloads(reading) == []
    with pytest.raises(RevertedError):
        log.wait(hidden)


def test_a_revert_that_does_not_know_of_the_newest_one_is_not_appended(log: logstore.Log) -> None:
    lsns = log.append_many([b"1", b"2", b"3"])
    ring = log._client.ring
    payload = encode_revert((Interval(EVERY_GROUP, lsns[2], 0),))
    first = ring.revert(payload, 0, 1.0)
    assert first > lsns[2]
    head = log.watermarks().reserved
    assert ring.revert(payload, 0, 1.0) == -1
    assert newest(log) == first
    assert log.watermarks().reserved <= head + 48  # but for a mark
    assert ring.revert(payload, first, 1.0) > first


def test_a_list_of_reverted_ranges_too_long_for_the_ring_is_refused_and_can_be_made_shorter(
    log: logstore.Log,
) -> None:
    first = log.append(b"first")
    ring = log._client.ring
    most = (ring.largest_payload - 8) // 24
    others = [Interval(99, first, first + 8)] * (most - 2)  # of a group that there is not
    own = Interval(EVERY_GROUP, log.append(b"hidden"), 0)
    assert ring.revert(encode_revert((*others, own)), 0, 1.0) > 0
    log.append(b"kept")
    log.revert(log.append(b"hidden"))
    log.append(b"kept")
    with pytest.raises(LimitReached):
        log.revert(log.append(b"not hidden"))
    log.sync()
    assert payloads(log.read()) == [b"first", b"kept", b"kept", b"not hidden"]
    log.revert(first)
    log.revert(log.append(b"hidden"))
    assert payloads(log.read()) == []


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_reverts_outlive_everybody(how: str, service: Service) -> None:
    with service.attach() as log:
        lsns = log.append_many([b"kept", b"hidden"])
        log.revert(lsns[1])
        log.append(b"after")
        if how == "killed":
            service.kill_all()
    if how == "stopped":
        assert service.stop() == 0
    service.start()
    assert [record.payload for record in service.read_all()] == [b"kept", b"after"]


def test_threads_that_load_records_of_many_segments_at_once_get_their_own(
    log: logstore.Log,
) -> None:
    lsns = [log.append(b"%d" % n + bytes(3000)) for n in range(100)]
    log.sync()
    wrong: list[object] = []

    def load(first: int) -> None:
        for turn in range(300):
            n = (first + turn * 37) % 100
            try:
                if log.load(lsns[n]).payload != b"%d" % n + bytes(3000):
                    wrong.append(n)
            except (logstore.LogstoreError, OSError) as error:
                wrong.append(error)

    threads = [threading.Thread(target=load, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, f"{len(wrong)}: {wrong[:3]}"
