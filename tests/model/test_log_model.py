"""A log under everything that can be done to it holds what plain lists and dicts say it should.

To add a feature: teach it to `Party` (what is called), to `Model` (what it means), and write its
rules in a module of their own, as a class that is mixed in here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.rules_faults import Failing
from tests.model.rules_keeping import Keeping
from tests.model.rules_transactions import Transacting
from tests.model.rules_writing import Writing

QUICK = settings(
    max_examples=10,
    stateful_step_count=30,
    deadline=None,
    print_blob=True,
    phases=set(Phase) - ({Phase.shrink} if os.environ.get("LOGSTORE_MODEL_NO_SHRINK") else set()),
    suppress_health_check=list(HealthCheck),
)
LONG = settings(
    QUICK,
    max_examples=int(os.environ.get("LOGSTORE_MODEL_EXAMPLES", "500")),
    stateful_step_count=50,
)


class Everything(Writing, Transacting, Keeping, Failing):
    """All rules together."""


def placed(where: Iterator[Path]) -> type[Everything]:
    """Return the machine with places for its logs."""

    class Placed(Everything):
        places = where

    return Placed


@pytest.mark.process
@pytest.mark.timeout(600)  # a failure is made smaller, which takes a while
def test_a_log_holds_what_the_model_says(places: Iterator[Path]) -> None:
    run_state_machine_as_test(placed(places), settings=QUICK)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_log_holds_what_the_model_says_for_long(places: Iterator[Path]) -> None:
    run_state_machine_as_test(placed(places), settings=LONG)
