"""Transactions of many processes: whole, in the order of their commits, or not there at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

import logstore
from logstore.errors import InvalidArgument, LimitReached
from logstore.frames import TXN_ABORT
from logstore.ring.layout import TRANSACTIONS
from tests.conftest import Serve
from tests.model.parties import There
from tests.outcomes import Transactors, is_hidden
from tests.programs.party import Party
from tests.service import Service

pytestmark = pytest.mark.process

KIB, MIB = 1 << 10, 1 << 20
PART = 64 * KIB


@pytest.fixture
def transactors() -> Iterator[Transactors]:
    """Return no transactor yet; all are ended afterwards."""
    started = Transactors()
    yield started
    started.clean_up()


def part(n: int) -> bytes:
    """Return the n-th part of a large transaction."""
    return n.to_bytes(4, "little") * (PART // 4)


def check_large(log: logstore.Log, count: int) -> None:
    """Read the large transaction, behind what was appended while it was open."""
    numbers = []
    for record in log.read(copy=False):
        if len(record.payload) == PART:
            numbers.append(int.from_bytes(record.payload[:4], "little"))
            assert record.payload == part(numbers[-1])
        else:
            assert not numbers, "a record that came before the commit is behind it"
    assert numbers == list(range(count))


def commit_large(service: Service, size: int) -> None:
    """Commit a transaction of so many bytes, and read it as one; again after a restart."""
    count = size // PART
    with service.attach() as log:
        with log.transaction() as transaction:
            for n in range(count):
                transaction.append(part(n))
                if n % 100 == 0:
                    log.append(b"beside")
            log.sync()
            assert len(list(log.read())) == (count + 99) // 100
        log.sync()
        check_large(log, count)
    assert service.stop() == 0
    service.start()
    with service.attach() as log:
        check_large(log, count)


def test_a_transaction_of_40_mb_through_a_ring_of_4_mib_is_read_as_one(serve: Serve) -> None:
    commit_large(serve(ring_size=4 * MIB, segment_size=8 * MIB), 40 * 1000 * 1000)


def test_a_transaction_of_200_mb_through_a_ring_of_32_mib_is_read_as_one(serve: Serve) -> None:
    commit_large(serve(ring_size=32 * MIB, segment_size=64 * MIB), 200 * 1000 * 1000)


@pytest.mark.parametrize("victim", ["writer", "everybody"])
def test_a_large_transaction_whose_process_is_killed_leaves_nothing(
    victim: str, serve: Serve
) -> None:
    service = serve(ring_size=MIB, segment_size=2 * MIB)
    there = There(service.name)
    try:
        there.do(Party.begin, 1, None)
        for n in range(5 * MIB // PART):
            there.do(Party.part, 1, part(n), None)
        if victim == "everybody":
            service.kill_all()
    finally:
        there.kill()
    if victim == "everybody":
        service.start()
    with service.attach() as log:
        log.append(b"after", durability="synced")
        assert [record.payload for record in log.read()] == [b"after"]
        # Nobody can commit its parts any more, so compaction may have dropped some already.
        assert 1 <= len(list(log.read(uncommitted=True))) <= 5 * MIB // PART + 1
    assert service.stop() == 0
    service.start()
    assert [record.payload for record in service.read_all()] == [b"after"]


def test_the_transactions_of_4_processes_are_whole_and_in_the_order_of_their_commits(
    serve: Serve, transactors: Transactors
) -> None:
    service = serve(ring_size=128 * KIB, segment_size=64 * KIB)
    for _ in range(4):
        transactors.start(service.name, 2)
    transactors.until_more("committed", 1000)
    transactors.kill(0)
    transactors.until_more("committed", 500)
    transactors.kill(1)
    transactors.until_more("committed", 500)
    transactors.stop()
    transactors.check(service.read_all())
    service.kill_all()
    service.start()
    transactors.check(service.read_all())


def test_a_commit_that_returned_is_visible_unless_a_later_revert_hid_it_and_a_refused_one_never_is(
    serve: Serve, transactors: Transactors, seed: int
) -> None:
    service = serve(ring_size=MIB, segment_size=MIB)
    for _ in range(2):
        transactors.start(service.name, 2)
    reverts: list[tuple[int, int]] = []
    looks: list[tuple[str, int]] = []
    done = threading.Event()

    def look(log: logstore.Log) -> None:
        while not done.is_set():
            reading = log.read(durability="ring")
            while True:
                known = len(reverts)  # these had returned before the next record was asked for
                record = next(reading, None)
                if record is None:
                    break
                looks.append((bytes(record.payload).split(b" ")[0].decode(), known))

    with service.attach() as log:
        looking = threading.Thread(target=look, args=(log,))
        looking.start()
        try:
            for turn in range(30):
                transactors.until_more("committed", 5)
                head = log.watermarks().reserved
                first = max(4096, head - (seed * (turn + 1) % 9000 // 8 * 8))
                reverts.append((first, log.revert(first)))
        finally:
            done.set()
            looking.join()
    transactors.stop()
    assert transactors.count("reverted") > 0
    transactors.check(service.read_all(), reverts)
    for name, known in looks:
        commit_lsn = transactors.outcomes[name].commit_lsn
        assert not is_hidden(commit_lsn, reverts[:known]), f"{name} was seen after its revert"
    with service.attach() as log:
        # Compaction may have dropped a part of what was hidden, but nothing refused is ever shown.
        shown = transactors.names(log.read(reverted=True))
    refused = {name for name, outcome in transactors.outcomes.items() if outcome.end == "reverted"}
    assert not refused & shown


def test_a_forked_child_cannot_go_on_with_its_parents_transaction(serve: Serve) -> None:
    with serve().attach() as log:
        transaction = log.transaction()
        transaction.append(b"parent's")
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            refused = []
            for call in (partial(transaction.append, b"child's"), transaction.commit):
                try:
                    call()
                except InvalidArgument:
                    refused.append(True)
            log.append(b"a child's own record")
            os.write(writer, b"%d" % len(refused))
            os._exit(0)
        assert os.read(reader, 10) == b"2"
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)
        transaction.commit(durability="synced")
        found = [record.payload for record in log.read()]
        assert found == [b"a child's own record", b"parent's"]


def test_the_table_of_transactions_can_be_full_and_dead_processes_leave_room(
    serve: Serve,
) -> None:
    service = serve()
    there = There(service.name)
    try:
        for n in range(100):
            there.do(Party.begin, n, None)
            there.do(Party.part, n, b"", None)
        with service.attach() as log:
            mine = [log.transaction() for _ in range(TRANSACTIONS - 100)]
            for transaction in mine:
                transaction.append(b"mine")
            late = log.transaction()
            with pytest.raises(LimitReached):
                late.append(b"late")
            mine.pop().abort()
            late.append(b"late")
            there.kill()
            more = [log.transaction() for _ in range(100)]
            for transaction in more:
                transaction.append(b"more")
            with pytest.raises(LimitReached):
                log.transaction().append(b"too many")
            for transaction in [*mine, late, *more]:
                transaction.commit()
            log.sync()
            payloads = [record.payload for record in log.read()]
        count = TRANSACTIONS - 100 - 1
        assert payloads == [b"mine"] * count + [b"late"] + [b"more"] * 100
    finally:
        there.kill()


def test_a_transaction_that_outlives_its_log_frees_nobody_elses_entry(serve: Serve) -> None:
    service = serve()
    with service.attach() as other:
        log = service.attach()
        old = log.transaction()
        old.append(b"old")
        log.close()
        transactions = [other.transaction() for _ in range(TRANSACTIONS)]
        for transaction in transactions:
            transaction.append(b"new")  # one of them takes the old one's entry
        old.abort()
        end = other.sync()
        aborts = other._reading.raw.chunks(4096, end, 1 << TXN_ABORT)
        assert [frame for chunk in aborts for frame in chunk] == []
        with pytest.raises(LimitReached):
            other.transaction().append(b"one too many")
        for transaction in transactions:
            transaction.abort()


def test_everything_else_goes_on_beside_open_transactions(clean_place: Path) -> None:
    with logstore.open(clean_place, ring_size=64 * KIB) as log:
        first, second = log.transaction("a"), log.transaction("b")
        first.append(b"1")
        second.append(b"2")
        log.append(b"3")
        second.append(b"4", group="a")
        second.commit()
        first.append(b"5")
        first.commit()
        log.sync()
        rows = [(record.group, record.seq, record.payload) for record in log.read()]
        assert rows == [
            ("default", 1, b"3"),
            ("b", 1, b"2"),
            ("a", 2, b"4"),
            ("a", 1, b"1"),
            ("a", 3, b"5"),
        ]
        assert [record.payload for record in log.read(group="a")] == [b"4", b"1", b"5"]
        with suppress(KeyError), log.transaction() as third:
            third.append(b"6")
            raise KeyError
        log.sync()
        assert len(list(log.read())) == 5
        assert [r.payload for r in log.read(uncommitted=True)] == [b"%d" % n for n in range(1, 7)]
