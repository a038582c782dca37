"""Filling a record in place."""

from __future__ import annotations

import pytest

from logstore import Closed, InvalidArgument
from logstore.reservation import Reservation
from logstore.ring.client import Client
from logstore.ring.layout import Stop
from tests.ring.bench import RING, Bench


@pytest.mark.parametrize("size", [0, 1, 8, 100, RING // 4 - 32])
def test_what_is_filled_in_is_the_record(size: int, bench: Bench, client: Client) -> None:
    payload = bytes(range(256)) * 64
    with Reservation(client.ring.reserve(size)) as reservation:
        assert len(reservation.buffer) == size
        assert not reservation.buffer.readonly
        reservation.buffer[:] = payload[:size]
        assert bench.stop() == Stop.BLOCKED
    (record,) = bench.drain()
    assert (record.lsn, record.payload) == (reservation.lsn, payload[:size])


def test_an_exception_aborts_and_the_log_goes_on(bench: Bench, client: Client) -> None:
    def fail() -> None:
        with Reservation(client.ring.reserve(500)) as reservation:
            reservation.buffer[:3] = b"bad"
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    client.ring.append(b"next")
    assert [(record.payload, record.seq) for record in bench.drain()] == [(b"next", 2)]


def test_a_reservation_that_is_dropped_is_aborted(bench: Bench, client: Client) -> None:
    slot = client.ring.reserve(500)
    client.ring.append(b"next")
    assert bench.drain() == []
    del slot
    assert [record.payload for record in bench.drain()] == [b"next"]


def test_others_wait_for_a_reservation_in_order(bench: Bench, client: Client) -> None:
    first, second = client.ring.reserve(1), bench.attach().ring.reserve(2)
    client.ring.append(b"third")
    second.publish()
    assert bench.drain() == []
    first.publish()
    assert [len(record.payload) for record in bench.drain()] == [1, 2, 5]


def test_a_finished_reservation_gives_its_bytes_to_nobody(client: Client) -> None:
    slot = client.ring.reserve(5)
    slot.publish()
    with pytest.raises(BufferError, match="published or aborted"):
        memoryview(slot)
    for finish in (slot.publish, slot.abort):
        with pytest.raises(BufferError, match="finished"):
            finish()


def test_a_view_that_outlives_the_block_aborts_the_record_once_it_is_gone(
    bench: Bench, client: Client
) -> None:
    with (
        pytest.raises(InvalidArgument, match="outlives"),
        Reservation(client.ring.reserve(100)) as reservation,
    ):
        leaked = reservation.buffer[10:20]
    client.ring.append(b"next")
    # While it can be written through, its place is nobody else's: what is written there would be
    # in another record, or make the abort frame itself a damaged one.
    leaked[:] = b"scribbling"
    assert bench.stop() == Stop.BLOCKED
    leaked.release()
    reservation.buffer.release()
    assert [record.payload for record in bench.drain()] == [b"next"]


def test_a_leaked_view_is_aborted_when_the_exception_that_names_it_is_gone(
    bench: Bench, client: Client
) -> None:
    def leak() -> None:
        with Reservation(client.ring.reserve(100)) as reservation:
            part = reservation.buffer[:10]
            part[:] = b"0123456789"

    with pytest.raises(InvalidArgument):
        leak()
    client.ring.append(b"next")
    assert [record.payload for record in bench.drain()] == [b"next"]


def test_closing_with_an_open_reservation_leaves_its_frame_to_the_committer(bench: Bench) -> None:
    client = bench.attach()
    reservation = Reservation(client.ring.reserve(100))
    reservation.buffer[:5] = b"half "
    client.close()
    with pytest.raises(Closed):
        reservation.__exit__(None, None, None)
    bench.attach().ring.append(b"next")
    bench.abort_dead()
    assert [record.payload for record in bench.drain()] == [b"next"]
