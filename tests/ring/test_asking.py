"""Who keeps many records in flight asks for the next sync ahead of its need, half by half."""

from __future__ import annotations

import pytest

from logstore.errors import Timeout
from logstore.ring._ring import LAYOUT, Waiter
from logstore.ring.client import Client
from logstore.ring.layout import Level
from tests.ring.bench import Bench

IN_FLIGHT = 100


class Flight(Waiter):
    """A log that has records in flight, and waits for each."""

    def __init__(self, bench: Bench, client: Client) -> None:
        self._ring = client.ring
        self.bench = bench
        self.lsns = [client.ring.append(bytes(64)) for _ in range(IN_FLIGHT)]
        self.end = bench.load("head")

    def blocked_once(self) -> Flight:
        """Wait in vain for the oldest record, as when all of this begins."""
        with pytest.raises(Timeout):
            self._ring.wait(Level.SYNCED, self.lsns[0], 0.001)
        assert self.bench.load("sync_request") == self.lsns[0] + 1
        return self

    def sync(self, count: int) -> None:
        """Make so many of the records durable."""
        to = self.lsns[count] if count < len(self.lsns) else self.end
        self.bench.drain()
        self.bench.ring.advance(Level.SYNCED, to)

    def asked_at(self) -> int | None:
        """Wait for all durable records; return which wait asked for a sync, and of everything."""
        synced = self.bench.load("synced")
        for number, lsn in enumerate(self.lsns):
            if lsn < synced:
                self.wait(lsn)
                if self.bench.load("sync_request") > synced:
                    assert self.bench.load("sync_request") == self.end
                    return number
        return None


@pytest.fixture
def flight(bench: Bench, client: Client) -> Flight:
    return Flight(bench, client)


@pytest.mark.parametrize("durable", [10, 50])
def test_half_that_nobody_has_asked_for_is_asked_for_at_once(flight: Flight, durable: int) -> None:
    flight.blocked_once().sync(durable)
    assert flight.asked_at() == 0


def test_less_than_half_is_asked_for_when_it_has_become_half(flight: Flight) -> None:
    flight.blocked_once().sync(80)
    asked_at = flight.asked_at()
    assert asked_at is not None
    assert 55 <= asked_at <= 65  # 20 of the 40 that are left then


def test_what_was_asked_for_is_not_asked_for_again(flight: Flight) -> None:
    flight.blocked_once().sync(50)
    assert flight.asked_at() == 0
    flight.bench.ring.store(LAYOUT["sync_request"], 0)
    assert flight.asked_at() is None


def test_nothing_is_asked_for_if_all_is_durable(flight: Flight) -> None:
    flight.blocked_once().sync(IN_FLIGHT)
    assert flight.asked_at() is None


def test_who_has_never_slept_asks_for_nothing(flight: Flight) -> None:
    flight.sync(50)
    assert flight.asked_at() is None
