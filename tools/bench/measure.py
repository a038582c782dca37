"""Cases, rounds and what is made of them: medians and spreads of interleaved rounds."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from tools.bench.histogram import Histogram, Metrics

Facts: TypeAlias = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Bar:
    """What a metric's median must reach."""

    metric: str
    least: float | None = None
    most: float | None = None

    def met(self, value: float) -> bool:
        """Tell whether a value is good enough."""
        high_enough = self.least is None or value >= self.least
        return high_enough and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        sides = [f">= {self.least:,g}"] if self.least is not None else []
        sides += [f"<= {self.most:,g}"] if self.most is not None else []
        return f"{self.metric} {', '.join(sides)}"


@dataclass(frozen=True, slots=True)
class Timed:
    """Figures of one run, and how its latencies were distributed."""

    metrics: Metrics
    latency: Histogram


@dataclass(slots=True)
class Case:
    """One thing that is measured once in each round.

    Attributes:
        workload: P1 to P10.
        name: What the table calls it.
        run: Measures it once.
        bars: What must be reached.
        facts: What it is, for the pictures: store, writers, size and so on.
        rounds: What was measured.
        latency: All rounds' latencies together; None if it has none.
    """

    workload: str
    name: str
    run: Callable[[], Metrics | Timed]
    bars: tuple[Bar, ...] = ()
    facts: Facts = field(default_factory=dict)
    rounds: list[Metrics] = field(default_factory=list)
    latency: Histogram | None = None

    def measure(self) -> None:
        """Run once more."""
        outcome = self.run()
        if isinstance(outcome, Timed):
            self.latency = self.latency or Histogram()
            self.latency.add(outcome.latency)
            outcome = outcome.metrics
        self.rounds.append(outcome)

    def median(self, metric: str) -> float:
        """Return the middle value of all rounds."""
        return statistics.median(one[metric] for one in self.rounds)

    def spread(self, metric: str) -> tuple[float, float]:
        """Return the lowest and the highest value."""
        values = [one[metric] for one in self.rounds]
        return min(values), max(values)

    def verdicts(self) -> list[tuple[Bar, bool]]:
        """Tell for each bar whether it is met."""
        return [(bar, bar.met(self.median(bar.metric))) for bar in self.bars]

    def as_json(self) -> dict[str, object]:
        """Return everything as what a JSON file takes."""
        metrics = list(self.rounds[0]) if self.rounds else []
        return {
            "workload": self.workload,
            "case": self.name,
            "facts": self.facts,
            "median": {metric: self.median(metric) for metric in metrics},
            "spread": {metric: self.spread(metric) for metric in metrics},
            "bars": {str(bar): met for bar, met in self.verdicts()},
            "rounds": self.rounds,
            "latency_ns": self.latency.as_json() if self.latency else None,
        }


def run_rounds(cases: list[Case], rounds: int, tell: Callable[[str], None]) -> None:
    """Run each case once in each round, so that a slow minute of the machine hits all of them."""
    for number in range(1, rounds + 1):
        for case in cases:
            case.measure()
            said = ", ".join(f"{name} {value:,.4g}" for name, value in case.rounds[-1].items())
            tell(f"round {number}/{rounds} {case.workload} {case.name}: {said}")
