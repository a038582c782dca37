"""Power lost at every moment: what was acknowledged as synced is there, and nothing else.

A failure prints what replays it:

    LOGSTORE_POWER_LOSS='1:weak:78:0.0.1.1.1' pytest tests/power -k replayed

that is seed, profile, cut and choice of each loss, with a slash between two generations; a seed of
-1 stands for a cut in a recovery, a slash at the end for a generation that only lives and stops.
LOGSTORE_POWER_SEED changes the first seed of the runs.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from tests.power.profiles import PROFILES, Profile
from tests.power.recording import Trace
from tests.power.run import Effort, Explorer
from tests.power.service import Ending, Simulation

FIRST_SEED: Final = int(os.environ.get("LOGSTORE_POWER_SEED", "1"))
FAST: Final = Effort(few=16, at_random=10, most=12, again=500, on_disk=2500)
SLOW: Final = Effort(few=4096, at_random=60, most=60, again=3000, on_disk=1000)
SLOW_TWICE: Final = Effort(few=64, at_random=20, most=16, again=40)
IMAGES: Final = 1_000_000
TWICE: Final = 100_000

names = [profile.name for profile in PROFILES]


@pytest.mark.parametrize("profile", PROFILES, ids=names)
def test_a_power_loss_at_any_moment_leaves_what_was_synced_and_nothing_else(
    profile: Profile, place: Path
) -> None:
    explorer = Explorer(place, FAST)
    for seed in (FIRST_SEED, FIRST_SEED + 2):  # the second one with syncs that fail
        explorer.explore(seed, profile)
    print(explorer.count)


@pytest.mark.slow
@pytest.mark.timeout(5400)
@pytest.mark.parametrize("profile", PROFILES, ids=names)
def test_a_million_power_losses(profile: Profile, place: Path) -> None:
    explorer = Explorer(place, SLOW)
    seed = FIRST_SEED + 100
    while explorer.count.images < IMAGES // len(PROFILES):
        explorer.explore(seed, profile)
        seed += 1
    print(explorer.count)


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_power_lost_again_after_a_recovery_or_in_it_brings_no_ghosts(place: Path) -> None:
    explorer = Explorer(place, SLOW_TWICE)
    seed = FIRST_SEED + 10_000
    while explorer.count.second < TWICE:
        explorer.explore(seed, PROFILES[seed % len(PROFILES)])
        seed += 1
    print(explorer.count)


@pytest.mark.skipif("LOGSTORE_POWER_LOSS" not in os.environ, reason="LOGSTORE_POWER_LOSS not set")
def test_a_power_loss_is_replayed(place: Path) -> None:
    Explorer(place, FAST).replay(os.environ["LOGSTORE_POWER_LOSS"])


def test_one_seed_is_one_course_of_things(tmp_path: Path, place: Path) -> None:
    traces: list[Trace] = []
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        simulation = Simulation(tmp_path / str(number) / place.name, FIRST_SEED)
        simulation.run([Ending.KILL, Ending.STOP])
        traces.append(simulation.trace)
    assert traces[0].ops == traces[1].ops


def test_everything_that_a_log_can_do_happens(tmp_path: Path, place: Path) -> None:
    items = []
    whats: set[str] = set()
    for seed in range(FIRST_SEED, FIRST_SEED + 4):
        path = tmp_path / str(seed) / place.name
        path.parent.mkdir()
        simulation = Simulation(path, seed)
        simulation.run([Ending.STOP, Ending.STOP])
        items += simulation.history.items
        ops = simulation.trace.ops
        whats.update(op.what for op in ops)
        whats.update(f"{op.what} {op.name[-4:]}" for op in ops)
        head = max(item.end for item in simulation.history.items)
        assert head > 4096 + 2 * 8192  # the ring was wrapped
    assert {"create", "rename", "unlink", "write", "size", "sync", "sync_names"} <= whats
    assert "unlink .seg" in whats  # compaction
    assert any(item.hides_from for item in items)
    assert any(item.commits for item in items)
    assert any(item.checkpointed[0] for item in items)
    assert any(len(item.records) > 1 for item in items)
    assert {record[1] for item in items for record in item.records} == {"default", "orders"}
