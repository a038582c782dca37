"""How the syncer passes the time: it sleeps, and syncs what it is woken for without its step."""

from __future__ import annotations

import pytest

from logstore.ring import slots
from logstore.ring._ring import LAYOUT
from logstore.ring.layout import Level, Mode, State
from tests.ring.vigil import QUICK_NS, SLOW_NS, Vigil


@pytest.mark.parametrize("mode", [Mode.NAPPING, Mode.SLEEPING])
def test_what_the_syncer_is_woken_for_is_synced_at_once(vigil: Vigil, mode: Mode) -> None:
    vigil.demand()
    vigil.sleep()
    assert vigil.sleep_and_sync(mode=mode) is False, "nothing else was there to do"
    end = vigil.bench.load("head")
    assert vigil.marks() == (end, end, end)
    assert (vigil.bench.load("sync_intent"), vigil.bench.load("syncs")) == (0, 1)


def test_what_nobody_waits_for_is_left_to_the_syncers_interval(vigil: Vigil) -> None:
    lsn = vigil.client.ring.append(b"nobody waits")
    vigil.sleep()
    assert vigil.sleep_and_sync(mode=Mode.NAPPING) is False
    assert (vigil.bench.load("synced"), vigil.bench.load("syncs")) == (lsn, 0)


@pytest.mark.parametrize("recent_ns", [QUICK_NS, SLOW_NS])
def test_a_syncer_that_is_woken_again_syncs_again(vigil: Vigil, recent_ns: int) -> None:
    def call() -> None:
        vigil.bench.ring.store(LAYOUT["sync_recent_ns"], recent_ns)
        vigil.sleep_and_sync(timeout_s=1.0)

    def turn() -> None:
        lsn = vigil.demand()
        vigil.bench.ring.advance(Level.RING, vigil.bench.load("head"))
        vigil.bench.ring.advance(Level.WRITTEN, vigil.bench.load("head"))
        vigil.client.ring.wait(Level.SYNCED, lsn, 10.0)

    assert vigil.most_of_one_call("syncs", call, turn) >= 3


@pytest.mark.parametrize("case", ["no file", "new segment", "other state", "failed", "damaged"])
def test_who_wakes_up_leaves_to_the_syncers_step_what_is_out_of_the_ordinary(
    vigil: Vigil, case: str
) -> None:
    lsn = vigil.demand()
    vigil.sleep()
    if case in ("other state", "failed"):
        vigil.bench.ring.set_state(State.DRAINING if case == "other state" else State.FAILED)
    if case == "damaged":
        vigil.bench.ring.store(LAYOUT["start"], lsn + 8)
    if case == "new segment":
        slots.push(vigil.bench.ring, vigil.bench.load("written"))
    assert vigil.sleep_and_sync(fd=-1 if case == "no file" else None) is (
        case not in ("other state", "failed")
    )
    assert (vigil.bench.load("synced"), vigil.bench.load("sync_intent")) == (lsn, 0)
