"""What is left of the log is readable when compaction has dropped something from its middle."""

from __future__ import annotations

import pytest

from logstore import Log

pytestmark = pytest.mark.process

SEGMENT = 1 << 14


def fill(log: Log) -> None:
    """Append what nobody needs, more than a segment full."""
    filler = log.group("filler")
    for _ in range(10):
        newest = filler.append(b"x" * (SEGMENT // 5))
    log.wait(newest, timeout=10)
    filler.checkpoint(up_to=filler.status().appended)
    log.sync(timeout=10)


def payloads(log: Log, *, uncommitted: bool = False, reverse: bool = False) -> list[bytes]:
    """Read a group."""
    records = log.read(group="orders", uncommitted=uncommitted, reverse=reverse)
    return [bytes(record.payload) for record in records]


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_a_transaction_is_read_though_some_of_its_parts_are_gone(log: Log, kept: int) -> None:
    log.append(b"the log starts here")
    fill(log)
    orders = log.group("orders")
    with log.transaction("orders") as transaction:
        for payload in (b"1", b"2", b"3"):
            transaction.append(payload)
            fill(log)
    fill(log)
    orders.checkpoint(ranges=[(seq, seq) for seq in (1, 2, 3) if seq != kept])
    log.sync(timeout=10)
    log.compact(timeout=10)
    assert payloads(log, uncommitted=True) == [b"%d" % kept]
    assert payloads(log) == [b"%d" % kept]
    assert payloads(log, reverse=True) == [b"%d" % kept]
    replayed: list[bytes] = []
    log.replay("orders", lambda record: replayed.append(bytes(record.payload)))
    assert replayed == [b"%d" % kept]


def test_a_transaction_that_a_cursor_has_not_read_is_kept_as_a_whole(log: Log) -> None:
    orders = log.group("orders")
    transaction = log.transaction("orders")
    transaction.append(b"1")
    fill(log)
    transaction.append(b"2")
    fill(log)
    log.cursor("billing", start="newest").close()
    transaction.commit()
    fill(log)
    orders.checkpoint(up_to=2)
    fill(log)
    log.compact(timeout=10)
    with log.cursor("billing") as cursor:
        found = list(cursor.records(timeout=0))
        assert [one.payload for one in found if one.group == "orders"] == [b"1", b"2"]
        cursor.advance(found[-1])
    log.compact(timeout=10)
    assert payloads(log, uncommitted=True) == []


@pytest.mark.parametrize("sealed", [False, True])
def test_what_is_checkpointed_goes_when_no_cursor_is_before_its_commit(
    log: Log, sealed: bool
) -> None:
    transaction = log.transaction("orders")
    transaction.append(b"1")
    fill(log)
    behind = transaction.commit()
    if sealed:
        fill(log)
    log.group("orders").checkpoint(up_to=1)
    fill(log)
    log.cursor("billing", start="newest").close()
    log.compact(timeout=10)
    assert log.watermarks().start > transaction.id
    assert behind > transaction.id


def test_reading_backwards_begins_below_a_hole_that_has_come_where_it_was_to_begin(
    log: Log,
) -> None:
    oldest = log.append(b"the log starts here", durability="synced")
    fill(log)
    fill(log)
    backwards = log.read(reverse=True)
    fill(log)
    fill(log)
    log.compact(timeout=10)
    assert [record.lsn for record in backwards][-1] == oldest
