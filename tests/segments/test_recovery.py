"""The two tables of recovery: total, and each combination as this second list has it."""

from __future__ import annotations

from itertools import product

import pytest

from logstore.segments.recovery import (
    Reached,
    Region,
    Rest,
    StartFacts,
    StartVerdict,
    TailFacts,
    TailVerdict,
    start_verdict,
    tail_verdict,
)

FILES = StartVerdict.RECOVER_FILES
DISCARD = StartVerdict.DISCARD_REGION_AND_RECOVER

HELD, FREE, CLEAN, CRASHED = True, False, True, False

START = {
    (Region.NONE, FREE, CRASHED): FILES,
    (Region.NONE, FREE, CLEAN): FILES,
    (Region.NONE, HELD, CRASHED): FILES,
    (Region.NONE, HELD, CLEAN): FILES,
    (Region.OTHER_BOOT, FREE, CRASHED): DISCARD,
    (Region.OTHER_BOOT, FREE, CLEAN): DISCARD,
    (Region.OTHER_BOOT, HELD, CRASHED): DISCARD,
    (Region.OTHER_BOOT, HELD, CLEAN): DISCARD,
    (Region.OTHER_UUID, FREE, CRASHED): DISCARD,
    (Region.OTHER_UUID, FREE, CLEAN): DISCARD,
    (Region.OTHER_UUID, HELD, CRASHED): DISCARD,
    (Region.OTHER_UUID, HELD, CLEAN): DISCARD,
    (Region.OTHER_LAYOUT, FREE, CRASHED): DISCARD,
    (Region.OTHER_LAYOUT, FREE, CLEAN): DISCARD,
    (Region.OTHER_LAYOUT, HELD, CRASHED): StartVerdict.REFUSE,
    (Region.OTHER_LAYOUT, HELD, CLEAN): StartVerdict.REFUSE,
    (Region.OURS, FREE, CRASHED): StartVerdict.SALVAGE,
    (Region.OURS, FREE, CLEAN): DISCARD,
    (Region.OURS, HELD, CRASHED): StartVerdict.ADOPT,
    (Region.OURS, HELD, CLEAN): DISCARD,
    (Region.OURS_FAILED, FREE, CRASHED): StartVerdict.SALVAGE,
    (Region.OURS_FAILED, FREE, CLEAN): DISCARD,
    (Region.OURS_FAILED, HELD, CRASHED): StartVerdict.SALVAGE,
    (Region.OURS_FAILED, HELD, CLEAN): DISCARD,
}

BELOW, ABOVE = Reached.BELOW_PROOF, Reached.PROOF_OR_ABOVE
READ, FAILED = False, True

TAIL = {
    (BELOW, Rest.NOTHING, CRASHED, READ): TailVerdict.CORRUPT,
    (BELOW, Rest.NOTHING, CLEAN, READ): TailVerdict.CORRUPT,
    (BELOW, Rest.SOMETHING, CRASHED, READ): TailVerdict.CORRUPT,
    (BELOW, Rest.SOMETHING, CLEAN, READ): TailVerdict.CORRUPT,
    (ABOVE, Rest.NOTHING, CRASHED, READ): TailVerdict.OK,
    (ABOVE, Rest.NOTHING, CLEAN, READ): TailVerdict.OK,
    (ABOVE, Rest.SOMETHING, CRASHED, READ): TailVerdict.TORN,
    (ABOVE, Rest.SOMETHING, CLEAN, READ): TailVerdict.CORRUPT,
    (BELOW, Rest.NOTHING, CRASHED, FAILED): TailVerdict.REFUSE,
    (BELOW, Rest.NOTHING, CLEAN, FAILED): TailVerdict.REFUSE,
    (BELOW, Rest.SOMETHING, CRASHED, FAILED): TailVerdict.REFUSE,
    (BELOW, Rest.SOMETHING, CLEAN, FAILED): TailVerdict.REFUSE,
    (ABOVE, Rest.NOTHING, CRASHED, FAILED): TailVerdict.REFUSE,
    (ABOVE, Rest.NOTHING, CLEAN, FAILED): TailVerdict.REFUSE,
    (ABOVE, Rest.SOMETHING, CRASHED, FAILED): TailVerdict.REFUSE,
    (ABOVE, Rest.SOMETHING, CLEAN, FAILED): TailVerdict.REFUSE,
}


@pytest.mark.parametrize(
    ("region", "lock_held", "clean"), list(product(Region, (False, True), (False, True)))
)
def test_a_start_does_what_the_list_says(region: Region, lock_held: bool, clean: bool) -> None:
    verdict = start_verdict(StartFacts(region, lock_held, clean))
    assert verdict is START[region, lock_held, clean]


@pytest.mark.parametrize(
    ("reached", "rest", "clean", "read_failed"),
    list(product(Reached, Rest, (False, True), (False, True))),
)
def test_a_tail_is_what_the_list_says(
    reached: Reached, rest: Rest, clean: bool, read_failed: bool
) -> None:
    verdict = tail_verdict(TailFacts(reached, rest, clean, read_failed))
    assert verdict is TAIL[reached, rest, clean, read_failed]


def test_nothing_is_salvaged_or_adopted_that_is_not_ours() -> None:
    for (region, _, _), verdict in START.items():
        if verdict in (StartVerdict.ADOPT, StartVerdict.SALVAGE):
            assert region in (Region.OURS, Region.OURS_FAILED)
