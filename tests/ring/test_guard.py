"""The guard: exclusion that outlives its owner, and tokens that may be lost or surplus."""

from __future__ import annotations

import threading

import pytest

from logstore import RingFull
from logstore.lsn import FIRST_LSN
from logstore.ring._ring import LAYOUT
from logstore.ring.client import Client
from logstore.ring.layout import State, Stop, group_offset
from logstore.ring.liveness import RECOVERY, LockFile
from logstore.ring.repair import repair_guard
from tests.ring.bench import Bench

SEQ = group_offset(0, "seq")


def dies(bench: Bench, client: Client) -> None:
    """Let a client's lock go, as its death would, with whatever it holds."""
    client.close()


def test_nothing_is_taken_from_a_live_owner_however_slow(bench: Bench, client: Client) -> None:
    owner = bench.attach()
    bench.enter_guard(owner)
    with pytest.raises(RingFull, match="guard"):
        client.ring.append(b"", 0.6)  # longer than two looks at who is alive
    assert bench.load("owner") == owner.ring.token
    assert bench.load("repairs") == 0
    bench.leave_guard()
    assert client.ring.append(b"") == FIRST_LSN


def test_an_owner_that_died_before_it_did_anything_leaves_nothing(
    bench: Bench, client: Client
) -> None:
    client.ring.append(b"before")
    owner = bench.attach()
    bench.enter_guard(owner)
    dies(bench, owner)
    client.ring.append(b"after", 2)
    assert [(record.payload, record.seq) for record in bench.drain()] == [
        (b"before", 1),
        (b"after", 2),
    ]
    assert bench.load("repairs") == 1
    assert bench.at_rest()


def test_an_owner_that_died_with_its_intent_written_has_reserved_nothing(
    bench: Bench, client: Client
) -> None:
    client.ring.append(b"before")
    owner = bench.attach()
    bench.enter_guard(owner)
    bench.ring.store(LAYOUT["intent"], bench.load("head"))
    bench.ring.store(LAYOUT["intent_seq"], 77)
    dies(bench, owner)
    client.ring.append(b"after", 2)
    assert [record.seq for record in bench.drain()] == [1, 2]


def test_an_owner_that_died_after_its_reservation_has_its_seq_counted_and_its_frame_aborted(
    bench: Bench, client: Client
) -> None:
    client.ring.append(b"before")
    owner = bench.attach()
    slot = owner.ring.reserve(100)
    bench.ring.store(SEQ, 1)  # it died between the store of head and that of its seq
    bench.enter_guard(owner)
    dies(bench, owner)
    client.ring.append(b"after", 2)
    assert [record.payload for record in bench.drain()] == [b"before"]
    assert bench.stop() == Stop.BLOCKED
    bench.abort_dead()
    assert [(record.payload, record.seq) for record in bench.drain()] == [(b"after", 3)]
    assert bench.load("aborts") == 1
    del slot


def test_an_owner_that_died_with_all_done_only_loses_the_guard(
    bench: Bench, client: Client
) -> None:
    owner = bench.attach()
    owner.ring.append(b"done")
    bench.enter_guard(owner)
    dies(bench, owner)
    client.ring.append(b"after", 2)
    assert [(record.payload, record.seq) for record in bench.drain()] == [
        (b"done", 1),
        (b"after", 2),
    ]


def test_a_repair_done_twice_is_a_repair_done_once(bench: Bench, client: Client) -> None:
    owner = bench.attach()
    owner.ring.append(b"done")
    bench.enter_guard(owner)
    dies(bench, owner)
    token = owner.ring.token
    assert repair_guard(bench.ring, bench.liveness)
    assert bench.at_rest()  # with a token, or the next one would wait in vain before it looks
    assert not repair_guard(bench.ring, bench.liveness)
    assert not bench.ring.repair(token)
    assert bench.load("repairs") == 1
    client.ring.append(b"after")
    assert [record.seq for record in bench.drain()] == [1, 2]


def test_only_one_process_repairs_at_a_time(bench: Bench) -> None:
    owner = bench.attach()
    bench.enter_guard(owner)
    dies(bench, owner)
    repairer = LockFile(bench.path)
    assert repairer.take(RECOVERY)
    assert not repair_guard(bench.ring, bench.liveness)
    repairer.close()  # it died as well
    assert repair_guard(bench.ring, bench.liveness)


def test_a_lost_token_is_replaced_by_whoever_misses_it(bench: Bench, client: Client) -> None:
    bench.set_tokens(0)
    client.ring.append(b"one", 2)
    assert bench.at_rest()
    client.ring.append(b"two", 0)
    assert len(bench.drain()) == 2


@pytest.mark.parametrize("surplus", [2, 5])
def test_surplus_tokens_let_nobody_in_twice(surplus: int, bench: Bench, client: Client) -> None:
    bench.set_tokens(surplus)
    owner = bench.attach()
    bench.ring.store(LAYOUT["owner"], owner.ring.token)
    with pytest.raises(RingFull, match="guard"):
        client.ring.append(b"", 0)
    assert bench.tokens() == 0  # all absorbed: none of them was the exclusion
    bench.leave_guard()
    client.ring.append(b"")
    assert bench.at_rest()


def test_with_surplus_tokens_threads_of_several_clients_lose_no_record(bench: Bench) -> None:
    bench.set_tokens(4)
    clients = [bench.attach() for _ in range(4)]

    def append(number: int) -> None:
        for n in range(100):
            clients[number].ring.append(b"%d %d" % (number, n), 20)

    threads = [threading.Thread(target=append, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    records = bench.drain()
    assert [record.seq for record in records] == list(range(1, 401))
    for number in range(4):
        mine = [r.payload for r in records if bytes(r.payload).startswith(b"%d " % number)]
        assert mine == [b"%d %d" % (number, n) for n in range(100)]


def test_a_state_set_under_the_guard_is_seen_by_the_next_reservation(
    bench: Bench, client: Client
) -> None:
    owner = bench.attach()
    bench.enter_guard(owner)
    assert not bench.ring.set_state(State.DRAINING, 0.05)
    assert bench.committer.state == State.RUNNING
    bench.leave_guard()
    assert bench.ring.set_state(State.DRAINING, 1.0)
    assert bench.ring.offer(b"") == -1
    assert bench.load("head") == FIRST_LSN
