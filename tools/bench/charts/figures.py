"""Figures read back from results.json, as the pictures ask for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tools.bench.histogram import Histogram


@dataclass(frozen=True, slots=True)
class Result:
    """One case of a run."""

    workload: str
    name: str
    facts: dict[str, Any]
    median: dict[str, float]
    spread: dict[str, tuple[float, float]]
    latency: Histogram | None


class Results:
    """All cases of one or more runs; of two with the same name the later file's counts."""

    def __init__(self, results: Sequence[Result]) -> None:
        self.results = list(results)

    @classmethod
    def load(cls, paths: Sequence[Path]) -> Self:
        """Read files as tools.bench.report writes them."""
        found: dict[tuple[str, str], Result] = {}
        for path in paths:
            for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
                counts = case["latency_ns"]
                found[case["workload"], case["case"]] = Result(
                    case["workload"],
                    case["case"],
                    case["facts"],
                    case["median"],
                    {metric: (low, high) for metric, (low, high) in case["spread"].items()},
                    None if counts is None else Histogram.from_json(counts),
                )
        return cls(list(found.values()))

    def where(self, workload: str, *, has: str = "", **facts: object) -> list[Result]:
        """Return the cases of a workload with these facts, and with a metric or fact `has`."""
        return [
            one
            for one in self.results
            if one.workload == workload
            and all(one.facts.get(key) == value for key, value in facts.items())
            and (not has or has in one.median or has in one.facts)
        ]

    def lines(
        self, workload: str, x: str, y: str, **facts: object
    ) -> dict[str, list[tuple[float, float, float, float]]]:
        """Return points (x, median, lowest, highest) by store, in order."""
        found: dict[str, list[tuple[float, float, float, float]]] = {}
        for one in self.where(workload, has=x, **facts):
            if y in one.median and "store" in one.facts:
                points = found.setdefault(str(one.facts["store"]), [])
                points.append((float(one.facts[x]), one.median[y], *one.spread[y]))
        return {store: sorted(points) for store, points in found.items()}
