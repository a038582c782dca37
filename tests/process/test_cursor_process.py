"""Durable cursors on a log that runs: where they begin, go on, and what is on disk when."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest

import logstore
from logstore.errors import InvalidArgument, InvalidLSN, NotFound, ReadOnly, Timeout
from tests.conftest import Serve
from tests.consuming import NONE_MORE_S, append, payloads, saved
from tests.service import Service, stopped

pytestmark = pytest.mark.process


@pytest.fixture
def service(serve: Serve) -> Service:
    return serve(segment_size=1 << 20)


@pytest.fixture
def log(service: Service) -> Iterator[logstore.Log]:
    with service.attach() as attached:
        yield attached


# Going on.


def test_a_consumer_goes_on_where_it_was_also_after_a_restart_of_the_service(
    service: Service,
) -> None:
    with service.attach() as log:
        append(log, b"1", b"2", b"3")
        with log.cursor("billing") as cursor:
            first = next(iter(cursor))
            assert first.payload == b"1"
            cursor.advance(first)
    assert service.stop() == 0
    service.start()
    with service.attach() as log, log.cursor("billing") as cursor:
        assert payloads(cursor) == [b"2", b"3"]
        append(log, b"4")
        assert payloads(cursor) == [b"4"]
        assert cursor.lag() == 0


def test_what_is_not_advanced_past_comes_again(log: logstore.Log) -> None:
    append(log, b"1", b"2", b"3")
    with log.cursor("c") as cursor:
        records = list(cursor.records(timeout=0))
        cursor.advance(records[0])
        cursor.advance(records[1])
        cursor.advance(records[0])
        assert payloads(cursor, advance=False) == [b"3"]
        assert payloads(cursor) == [b"3"]
        assert payloads(cursor) == []


def test_a_transaction_comes_whole_and_again_whole_until_all_of_it_is_done_with(
    log: logstore.Log,
) -> None:
    with log.transaction() as transaction:
        for number in range(3):
            transaction.append(b"part %d" % number)
            append(log, b"between %d" % number)
        transaction.commit(durability="synced")
    whole = [b"part 0", b"part 1", b"part 2"]
    with log.cursor("c") as cursor:
        records = list(cursor.records(timeout=NONE_MORE_S))
        assert [r.payload for r in records] == [b"between 0", b"between 1", b"between 2", *whole]
        cursor.advance(records[4])
    with log.cursor("c") as cursor:
        for record in islice(cursor, 3):
            cursor.advance(record)
    with log.cursor("c") as cursor:
        assert payloads(cursor) == []


def test_a_transaction_larger_than_what_is_remembered_ends_with_its_last_record(
    log: logstore.Log,
) -> None:
    count = 90
    with log.transaction("big" if log.group("big") else None) as transaction:
        for number in range(count):
            transaction.append(b"%d" % number + b"x" * 65536)
        transaction.commit(durability="synced")
    with log.cursor("c", group="big") as cursor:
        records = list(islice(cursor, count))
        assert [record.seq for record in records] == list(range(1, count + 1))
        cursor.advance(records[-2])
    with log.cursor("c") as cursor:
        records = list(islice(cursor, count))
        assert records[0].seq == 1
        cursor.advance(records[-1])
    with log.cursor("c") as cursor:
        assert payloads(cursor) == []


def test_a_cursor_of_a_quiet_group_moves_on_with_the_log(log: logstore.Log) -> None:
    orders = log.group("orders")
    append(orders, b"order")
    with orders.cursor("c") as cursor:
        assert payloads(cursor) == [b"order"]
        append(log, *[b"other"] * 20)
        assert payloads(cursor) == []
        assert cursor.lag() == 0
        assert cursor.group == "orders"
    assert saved(log, "c").lag == 0


def test_what_is_reverted_is_not_delivered_any_more(log: logstore.Log) -> None:
    lsns = append(log, b"1", b"2", b"3")
    with log.cursor("c") as cursor:
        records = cursor.records(timeout=NONE_MORE_S)
        cursor.advance(next(records))
        log.revert(lsns[1])
        append(log, b"4")
        assert [record.payload for record in records] == [b"4"]


@pytest.mark.parametrize("by_cursor", [False, True], ids=["read", "cursor"])
def test_a_transaction_reverted_while_the_reader_was_busy_is_not_delivered(
    log: logstore.Log, by_cursor: bool
) -> None:
    with log.transaction() as transaction:
        (first,) = append(log, b"1")
        transaction.append(b"part")
        commit_lsn = transaction.commit(durability="synced")
    reader = log.cursor("c").records(timeout=NONE_MORE_S) if by_cursor else log.read()
    assert next(reader).lsn == first
    log.revert(commit_lsn)
    assert list(reader) == []


def test_a_newer_loop_ends_the_one_before(log: logstore.Log) -> None:
    append(log, b"1", b"2")
    with log.cursor("c") as cursor:
        older = cursor.records(timeout=0)
        next(older)
        assert payloads(cursor) == [b"1", b"2"]
        assert list(older) == []


def test_a_loop_under_way_goes_on_where_the_cursor_is_moved(log: logstore.Log) -> None:
    lsns = append(log, b"1", b"2", b"3")
    with log.cursor("c") as cursor:
        seen = []
        for record in cursor.records(timeout=NONE_MORE_S):
            seen.append(record.payload)
            if seen == [b"1"]:
                cursor.move(lsns[2])
            elif seen == [b"1", b"3"]:
                cursor.move(lsns[1])
        assert seen == [b"1", b"3", b"2", b"3"]
        assert saved(log, "c").position_lsn == lsns[1]


# Where a new one begins.


def test_a_new_cursor_begins_where_it_is_told_to(log: logstore.Log) -> None:
    lsns = append(log, b"1", b"2", b"3")
    with (
        log.cursor("oldest") as oldest,
        log.cursor("newest", start="newest") as newest,
        log.cursor("second", start=lsns[1]) as second,
    ):
        append(log, b"4")
        assert payloads(oldest) == [b"1", b"2", b"3", b"4"]
        assert payloads(newest) == [b"4"]
        assert payloads(second) == [b"2", b"3", b"4"]
    with log.cursor("newest", start="oldest") as newest:
        assert payloads(newest) == []


def test_a_wrong_argument_makes_no_cursor(log: logstore.Log) -> None:
    (lsn,) = append(log, b"1" * 100)
    log.group("orders")
    with pytest.raises(InvalidLSN):
        log.cursor("c", start=lsn + 8)
    with pytest.raises(InvalidLSN):
        log.cursor("c", start=1 << 40)
    with pytest.raises(NotFound):
        log.cursor("c", start=0)
    with pytest.raises(NotFound):
        log.cursor("c", group="nobody")
    with pytest.raises(InvalidArgument):
        log.cursor("../c")
    with pytest.raises(InvalidArgument):
        log.cursor("c", save_interval_s=-1)
    with pytest.raises(NotFound):
        log.move_cursor("c", lsn)
    with pytest.raises(NotFound):
        log.delete_cursor("c")
    assert log.cursors() == []
    log.cursor("c", group="orders").close()
    with pytest.raises(InvalidArgument, match="orders"):
        log.cursor("c", group="default")
    with logstore.attach(log.name, read_only=True) as reader, pytest.raises(ReadOnly):
        reader.cursor("c")


# What is durable.


def test_a_waiting_loop_saves_what_was_advanced_past(log: logstore.Log) -> None:
    append(log, b"1", b"2")
    with log.cursor("c", save_interval_s=0.02) as cursor:
        for record in cursor.records(timeout=0.2):
            cursor.advance(record)
        assert saved(log, "c").position_lsn >= record.lsn + 40


def test_advance_saves_at_most_every_interval_and_save_at_once(log: logstore.Log) -> None:
    append(log, b"1", b"2")
    with log.cursor("c", save_interval_s=1000) as cursor:
        for record in islice(cursor, 2):
            cursor.advance(record)
        assert saved(log, "c").position_lsn < record.lsn
        assert cursor.position > record.lsn
        cursor.save()
        assert saved(log, "c").position_lsn == cursor.position
    with log.cursor("d", save_interval_s=0) as cursor:
        for record in islice(cursor, 2):
            cursor.advance(record)
            assert saved(log, "d").position_lsn == cursor.position


def test_a_position_is_not_saved_before_the_records_below_are_synced(service: Service) -> None:
    with service.attach() as log, log.cursor("c", durability="ring", save_interval_s=0) as cursor:
        with stopped(service.pid("syncer")):
            log.append(b"not on disk")
            record = next(iter(cursor))
            cursor.advance(record)
            assert cursor.position > record.lsn
            assert saved(log, "c").position_lsn <= record.lsn
            with pytest.raises(Timeout):
                cursor.save(timeout=0.05)
        cursor.save()
        assert saved(log, "c").position_lsn > record.lsn
