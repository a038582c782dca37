"""Cases, rounds and what is made of them: medians and spreads of interleaved rounds."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

Metrics: TypeAlias = dict[str, float]


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
        sides = [f">= {self.least:g}"] if self.least is not None else []
        sides += [f"<= {self.most:g}"] if self.most is not None else []
        return f"{self.metric} {', '.join(sides)}"


@dataclass(slots=True)
class Case:
    """One thing that is measured once in each round."""

    workload: str
    name: str
    run: Callable[[], Metrics]
    bar: Bar | None = None
    rounds: list[Metrics] = field(default_factory=list)

    def median(self, metric: str) -> float:
        """Return the middle value of all rounds."""
        return statistics.median(one[metric] for one in self.rounds)

    def spread(self, metric: str) -> tuple[float, float]:
        """Return the lowest and the highest value."""
        values = [one[metric] for one in self.rounds]
        return min(values), max(values)

    def verdict(self) -> bool | None:
        """Tell whether the bar is met; None if there is none."""
        return None if self.bar is None else self.bar.met(self.median(self.bar.metric))

    def as_json(self) -> dict[str, object]:
        """Return everything as what a JSON file takes."""
        metrics = list(self.rounds[0]) if self.rounds else []
        return {
            "workload": self.workload,
            "case": self.name,
            "median": {metric: self.median(metric) for metric in metrics},
            "spread": {metric: self.spread(metric) for metric in metrics},
            "bar": str(self.bar) if self.bar else None,
            "met": self.verdict(),
            "rounds": self.rounds,
        }


def run_rounds(cases: list[Case], rounds: int, tell: Callable[[str], None]) -> None:
    """Run each case once in each round, so that a slow minute of the machine hits all of them."""
    for number in range(1, rounds + 1):
        for case in cases:
            case.rounds.append(case.run())
            said = ", ".join(f"{name} {value:,.4g}" for name, value in case.rounds[-1].items())
            tell(f"round {number}/{rounds} {case.workload} {case.name}: {said}")


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def latencies(took_ns: list[int]) -> Metrics:
    """Return the usual percentiles in microseconds."""
    ordered = sorted(took_ns)
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    last = len(ordered) - 1
    return {
        f"{name} us": ordered[min(last, int(len(ordered) * s))] / 1e3 for name, s in shares.items()
    }
