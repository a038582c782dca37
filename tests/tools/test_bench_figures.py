"""What benchmarks make of their figures: distributions, rounds, verdicts."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tools.bench import report
from tools.bench.histogram import Histogram
from tools.bench.measure import Bar, Case, Timed, run_rounds

latencies = st.lists(st.integers(0, 10**12), min_size=1, max_size=200)


@given(latencies, st.floats(0.001, 1))
def test_a_percentile_is_that_of_the_sorted_list_to_a_hundredth(
    took: list[int], share: float
) -> None:
    exact = sorted(took)[max(0, -int(-share * len(took) // 1) - 1)]
    assert abs(Histogram(took).percentile(share) - exact) <= exact / 64


def test_percentiles_of_the_first_hundred_numbers() -> None:
    hundred = Histogram(range(1, 101))
    wanted = {0.01: 1, 0.5: 50, 0.99: 99, 0.991: 100, 1.0: 100}
    assert {share: hundred.percentile(share) for share in wanted} == wanted


@given(latencies, latencies)
def test_two_histograms_together_are_that_of_all(some: list[int], others: list[int]) -> None:
    together = Histogram(some)
    together.add(Histogram(others))
    assert together.counts == Histogram(some + others).counts
    assert Histogram.from_json(together.as_json()).counts == together.counts
    shares = [share for share, _ in together.curve()]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_rounds_take_turns_and_bars_look_at_the_median(tmp_path: Path) -> None:
    order: list[str] = []
    numbers = count(1)

    def measured(name: str) -> Timed:
        order.append(name)
        return Timed({"rate": float(next(numbers))}, Histogram([5]))

    bars = Bar("rate", least=3), Bar("rate", most=2)
    cases = [Case("P1", name, lambda name=name: measured(name), bars) for name in "ab"]  # type: ignore[misc]
    told: list[str] = []
    run_rounds(cases, 3, told.append)
    assert order == list("ababab")
    assert len(told) == 6
    assert [met for _, met in cases[0].verdicts()] == [True, False]
    assert cases[0].spread("rate") == (1, 5)
    case = json.loads(report.write(tmp_path, cases, ["p1"]).read_text())["cases"][1]
    assert case["median"] == {"rate": 4}
    assert case["latency_ns"] == {"5": 3}
    assert "| a | 3 (1 .. 5) |" in (tmp_path / "tables.md").read_text()
