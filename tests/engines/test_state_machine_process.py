"""The example's bank: a state machine kept by the log, through kills, against a model."""

from __future__ import annotations

import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from logstore.engines import Driver
from tests.conftest import Serve
from tests.service import environment, processes_of, until
from tools.examples.bank import TRANSFER, Bank, model, transfers

REQUESTS = 60_000


def bank(place: Path, *more: str) -> list[str]:
    """Return the command that runs the example."""
    command = [sys.executable, "-m", "tools.examples.bank", str(place), "--snapshot-every", "5000"]
    return [*command, "--requests", str(REQUESTS), "--segment-size", "1MiB", *more]


def snapshots(place: Path) -> dict[str, int]:
    """Return the snapshots there are, and when they were made."""
    return {file.name: file.stat().st_mtime_ns for file in place.glob("snapshots/*.snapshot")}


def newer(place: Path, before: dict[str, int]) -> bool:
    """Tell whether a snapshot was made since."""
    return snapshots(place) != before


@pytest.mark.crash
def test_the_bank_is_right_after_two_kills_and_its_log_stays_small(clean_place: Path) -> None:
    for _ in range(2):
        run = subprocess.Popen(bank(clean_place), env=environment(), stdout=subprocess.DEVNULL)
        before = snapshots(clean_place)
        until(partial(newer, clean_place, before), "the bank has made a snapshot", 30)
        run.send_signal(signal.SIGKILL)
        run.wait()
    done = subprocess.run(
        bank(clean_place), env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "state equals the model" in done.stdout
    until(lambda: not processes_of(clean_place), "the service has ended")
    assert sum(1 for _ in clean_place.glob("*.seg")) <= 4


@pytest.mark.process
def test_another_process_takes_over_when_the_one_that_applies_lets_go(serve: Serve) -> None:
    service = serve(ring_size=1 << 20)
    sent = list(transfers(7, 300))
    with service.attach() as one, service.attach() as two:
        first_bank, second_bank = Bank(), Bank()
        first, second = Driver(one, first_bank), Driver(two, second_bank)
        assert [first.applies, second.applies] == [True, False]
        for transfer in sent[:100]:
            first.on_request(TRANSFER.pack(*transfer))
        for transfer in sent[100:200]:
            lsn = second.submit(TRANSFER.pack(*transfer))
        first.answer(lsn)
        assert first.visible_lsn > lsn
        assert first_bank.balances == model(7, 200)
        first.close()
        for transfer in sent[200:]:
            second.on_request(TRANSFER.pack(*transfer))
        assert [first.applies, second.applies] == [False, True]
        assert second_bank.balances == model(7, 300)
        second.close()


@pytest.mark.process
def test_a_thousand_requests_in_flight_are_each_answered_in_order(serve: Serve) -> None:
    service = serve()
    with service.attach() as log:
        machine = Bank()
        with Driver(log, machine) as driver:
            flying = [driver.submit(TRANSFER.pack(*one)) for one in transfers(3, 1000)]
            answers = [driver.answer(lsn) for lsn in flying]
        expected = Bank()
        balances = []
        for _, giver, taker, amount in transfers(3, 1000):
            expected.balances[giver] -= amount
            expected.balances[taker] += amount
            balances.append(expected.balances[giver])
        assert answers == balances
        assert machine.balances == expected.balances
