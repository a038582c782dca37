"""A log under everything that can be done to it holds what plain lists and dicts say it should.

To add a feature: teach it to `Party` (what is called), to `Model` (what it means), and write its
rules in a module of their own, as a class that is mixed in here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.model.machine import RINGS, SEGMENT
from tests.model.parties import Nursery
from tests.model.rules_faults import Failing
from tests.model.rules_keeping import Keeping
from tests.model.rules_transactions import Transacting
from tests.model.rules_writing import Writing
from tests.model.services import Services
from tests.service import SHM

LONG = settings(
    max_examples=int(os.environ.get("LOGSTORE_MODEL_EXAMPLES", "500")),
    stateful_step_count=50,
    deadline=None,
    print_blob=True,
    phases=set(Phase) - ({Phase.shrink} if os.environ.get("LOGSTORE_MODEL_NO_SHRINK") else set()),
    suppress_health_check=list(HealthCheck),
)
QUICK = settings(LONG, max_examples=50)


class Everything(Writing, Transacting, Keeping, Failing):
    """All rules together."""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Return the process that forks second processes."""
    started = Nursery()
    yield started
    started.close()


@contextmanager
def machine(
    places: Iterator[Path], nursery: Nursery, pause: int
) -> Iterator[type[RuleBasedStateMachine]]:
    """Return the machine with services and processes for it."""
    started = Services(places, RINGS, SEGMENT)

    class Placed(Everything):
        pass

    Placed.services, Placed.nursery, Placed.pause = started, nursery, pause
    try:
        yield Placed
    finally:
        started.close()


@pytest.mark.process
@pytest.mark.timeout(900)  # a failure is made smaller, which takes a while
def test_a_log_holds_what_the_model_says(places: Iterator[Path], nursery: Nursery) -> None:
    # In memory, where syncs cost nothing, and with few restarts: to be quick.
    with TemporaryDirectory(prefix=next(places).name, dir=SHM) as where:
        here = (Path(where) / path.name for path in places)
        with machine(here, nursery, pause=25) as rules:
            run_state_machine_as_test(rules, settings=QUICK)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_log_holds_what_the_model_says_for_long(places: Iterator[Path], nursery: Nursery) -> None:
    with machine(places, nursery, pause=10) as rules:
        run_state_machine_as_test(rules, settings=LONG)
