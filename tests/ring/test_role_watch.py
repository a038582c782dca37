"""Whether the syncer and the committer get on, as the supervisor sees it from look to look."""

from __future__ import annotations

import pytest

from logstore.format import Kind
from logstore.ring._ring import LAYOUT
from logstore.ring.layout import COMMITTER, SYNCER, Level, State, index_of
from logstore.workers.stalls import LATE_S, RoleWatch
from tests.ring.bench import Bench


class Watched:
    """A bench with both roles, and what looks at them."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.syncer = bench.attach(role=SYNCER)
        self.client = bench.attach()
        self.watch = RoleWatch(bench.ring, bench.liveness)

    def late(self) -> tuple[int, int] | None:
        """Look once; return who stands, and where."""
        self.watch.look()
        lsn = self.bench.load("late_lsn")
        return (index_of(self.bench.load("late_owner")), lsn) if lsn else None

    def append(self) -> int:
        return self.client.ring.append(b"x")

    def write(self, most: int = 1 << 16) -> None:
        """Let the committer write, and nothing be synced."""
        ring = self.bench.ring
        to, _, _, _ = ring.walk(self.bench.load("written"), most, False)
        ring.advance(Level.RING, to)
        ring.advance(Level.WRITTEN, to)

    def demand(self) -> int:
        """Append what somebody waits for."""
        lsn = self.append()
        assert not self.client.ring.poll(Level.SYNCED, lsn, 0.0)
        return lsn


@pytest.fixture
def watched(bench: Bench) -> Watched:
    return Watched(bench)


def test_who_has_nothing_to_do_is_not_late(watched: Watched) -> None:
    assert [watched.late() for _ in range(3)] == [None] * 3
    watched.append()
    watched.write()
    assert [watched.late() for _ in range(3)] == [None] * 3, "nobody waits for the disk"


def test_a_committer_that_stands_is_late_until_it_gets_on(watched: Watched) -> None:
    first = watched.append()
    assert watched.late() is None, "one look proves nothing"
    assert watched.late() == watched.late() == (COMMITTER, first)
    watched.write()
    assert watched.late() is None


def test_a_committer_that_moves_between_two_looks_is_not_late(watched: Watched) -> None:
    for _ in range(5):
        watched.append()
        assert watched.late() is None
        watched.append()
        watched.write(1)


def test_a_record_in_flight_is_its_writers_affair(watched: Watched) -> None:
    slot = watched.client.ring.reserve(10, None, 0)
    assert [watched.late() for _ in range(3)] == [None] * 3
    slot.publish()
    watched.late()
    assert watched.late() == (COMMITTER, slot.lsn)


def test_a_mark_in_flight_is_the_committers_affair(watched: Watched) -> None:
    slot = watched.bench.ring.offer_slot(10, Kind.MARK)
    assert slot is not None
    assert watched.late() is None
    assert watched.late() == (COMMITTER, slot.lsn)
    slot.publish()


@pytest.mark.parametrize("why", ["somebody waits", "a sync has begun"])
def test_a_syncer_that_stands_is_late_until_it_gets_on(watched: Watched, why: str) -> None:
    ring = watched.bench.ring
    synced = watched.bench.load("synced")
    if why == "somebody waits":
        watched.demand()
        watched.write()
    else:
        watched.append()
        watched.write()
        ring.store(LAYOUT["sync_intent"], watched.bench.load("written"))
    assert watched.late() is None
    assert watched.late() == watched.late() == (SYNCER, synced)
    ring.advance(Level.SYNCED, watched.bench.load("written"))
    assert watched.late() is None


def test_the_syncer_is_named_if_the_committer_stands_too(watched: Watched) -> None:
    watched.demand()
    watched.write()
    watched.append()
    watched.late()
    assert watched.late() == (SYNCER, watched.bench.load("synced"))


def test_a_role_that_is_dead_or_may_not_go_on_is_not_late(watched: Watched) -> None:
    watched.demand()
    watched.write()
    watched.late()
    assert watched.late() is not None
    watched.syncer.close()
    assert watched.late() is None
    watched.append()
    watched.late()
    assert watched.late() is not None
    watched.bench.ring.set_state(State.FULL)
    assert watched.late() is None, "that the disk is full is told otherwise"


def test_two_looks_far_apart_prove_nothing(watched: Watched) -> None:
    watched.append()
    watched.late()
    watched.watch._looked_s -= LATE_S  # as if the supervisor had been stopped
    assert watched.late() is None
    assert watched.late() is not None
