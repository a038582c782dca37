"""Counters, histograms, segment slots and the doorbell: what others read of a running ring."""

from __future__ import annotations

import threading

from logstore import status
from logstore.ring import slots
from logstore.ring._ring import LAYOUT
from logstore.ring.client import Client
from logstore.ring.layout import BUCKETS, SEGMENT_SLOTS
from tests.ring.bench import RING, Bench


def test_a_histogram_counts_by_powers_of_two(bench: Bench) -> None:
    for value in (0, 1, 2, 3, 4, 1 << 20, (1 << 63) + 1):
        bench.ring.count_drain(value)
    counts = bench.ring.words(LAYOUT["drain_size"], BUCKETS)
    assert {i: count for i, count in enumerate(counts) if count} == {
        0: 2,
        1: 2,
        2: 1,
        20: 1,
        BUCKETS - 1: 1,
    }
    assert bench.load("drains") == 7


def test_syncs_are_counted_with_their_bytes_and_times(bench: Bench) -> None:
    bench.ring.count_sync(1000, 1 << 20)
    bench.ring.count_sync(24, 1 << 20)
    assert (bench.load("syncs"), bench.load("sync_bytes")) == (2, 1024)
    assert bench.ring.words(LAYOUT["sync_time"], BUCKETS)[20] == 2


def test_status_sees_clients_counters_and_how_full_the_ring_is(
    bench: Bench, client: Client
) -> None:
    client.ring.append(b"12345")
    client.ring.append_many([b"", b"1"])
    found = status.sample(client)
    assert found.watermarks.ordered
    assert (found.state, found.ring_size) == ("running", RING)
    assert found.ring_used == 40 + 32 + 40
    assert (found.counters["appends"], found.counters["bytes"]) == (3, 6)
    me = [one for one in found.clients if one.index == client.index]
    assert [(one.role, one.alive, one.appends, one.batches) for one in me] == [(None, True, 3, 1)]
    bench.drain()
    assert status.sample(client).ring_used == 0


def test_status_of_a_closed_client_is_gone_and_of_a_dead_role_says_dead(
    bench: Bench, client: Client
) -> None:
    other = bench.attach()
    other.close()
    bench.supervisor.close()
    found = {one.index: one.alive for one in status.sample(client).clients}
    assert other.index not in found
    assert found[0] is False
    assert found[client.index] is True


def test_watermarks_stand_in_order_while_everything_moves(bench: Bench, client: Client) -> None:
    ended = threading.Event()

    def move() -> None:
        for _ in range(300):
            client.ring.append(bytes(500), 5)
            bench.drain()
        ended.set()

    thread = threading.Thread(target=move)
    thread.start()
    while not ended.is_set():
        assert status.watermarks(client.ring).ordered
    thread.join()


def test_segment_slots_are_a_bounded_queue(bench: Bench) -> None:
    ring = bench.ring
    assert slots.newest(ring) is None
    for number in range(SEGMENT_SLOTS):
        assert slots.room(ring)
        slots.push(ring, 4096 + number * 8)
    assert not slots.room(ring)
    assert slots.newest(ring) == 4096 + (SEGMENT_SLOTS - 1) * 8
    assert slots.bases(ring, SEGMENT_SLOTS - 2) == [4096 + n * 8 for n in (62, 63)]
    slots.retire(ring, 10)
    assert slots.room(ring)
    for number in range(SEGMENT_SLOTS, SEGMENT_SLOTS + 10):
        slots.push(ring, 4096 + number * 8)
    assert not slots.room(ring)
    assert slots.bases(ring, 10) == [4096 + n * 8 for n in range(10, SEGMENT_SLOTS + 10)]


def test_attaching_and_leaving_ring_the_supervisors_bell(bench: Bench) -> None:
    seen = bench.ring.await_knock(0, 0.0)
    client = bench.attach()
    rung = bench.ring.await_knock(seen, 5.0)
    assert rung == seen + 1
    client.close()
    assert bench.ring.await_knock(rung, 5.0) == rung + 1
    assert bench.ring.await_knock(rung + 1, 0.02) == rung + 1


def test_the_recent_time_of_a_sync_follows_the_disk(bench: Bench) -> None:
    for elapsed_ns in [100_000] * 50:
        bench.ring.count_sync(8, elapsed_ns)
    assert 95_000 < bench.load("sync_recent_ns") <= 100_000
    for elapsed_ns in [5_000_000] * 50:
        bench.ring.count_sync(8, elapsed_ns)
    assert bench.load("sync_recent_ns") > 4_000_000
