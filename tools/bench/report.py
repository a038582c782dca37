"""What a run says: tables on the terminal, Markdown and JSON in files."""

from __future__ import annotations

import itertools
import json
import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from rich.table import Table

from tools.bench.measure import Case

VERSION: Final = 2


def machine() -> dict[str, object]:
    """Say on what this ran."""
    return {
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": os.getloadavg(),
    }


def number(value: float) -> str:
    """Write a figure with three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _alike(cases: Sequence[Case]) -> Iterator[tuple[str, list[str], list[Case]]]:
    """Give (workload, metrics, cases) for neighbours that measure the same."""
    keys = ((case.workload, list(case.rounds[0])) for case in cases)
    pairs = zip(keys, cases, strict=True)
    for (workload, metrics), group in itertools.groupby(pairs, key=lambda pair: pair[0]):
        yield workload, metrics, [case for _, case in group]


def _cell(case: Case, metric: str) -> tuple[str, str]:
    low, high = case.spread(metric)
    return number(case.median(metric)), f"{number(low)} .. {number(high)}"


def _verdicts(case: Case) -> list[str]:
    return [f"{bar}: {'met' if met else 'missed'}" for bar, met in case.verdicts()]


def tables(cases: Sequence[Case]) -> Iterator[Table]:
    """Draw all cases; median above, lowest and highest of all rounds below."""
    for workload, metrics, alike in _alike(cases):
        judged = any(case.bars for case in alike)
        drawn = Table("case", *metrics, *(["bar"] if judged else []), title=workload)
        drawn.title_justify = "left"
        for case in alike:
            cells = ["\n".join(_cell(case, metric)) for metric in metrics]
            drawn.add_row(case.name, *cells, *(["\n".join(_verdicts(case))] if judged else []))
        yield drawn


def markdown(cases: Sequence[Case]) -> str:
    """Write the same as Markdown."""
    lines = []
    for workload, metrics, alike in _alike(cases):
        heads = [workload, *metrics, "bar"]
        lines += ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
        for case in alike:
            cells = ["{} ({})".format(*_cell(case, metric)) for metric in metrics]
            cells.append("; ".join(_verdicts(case)))
            lines.append("| " + " | ".join([case.name, *cells]) + " |")
        lines.append("")
    return "\n".join(lines)


def write(directory: Path, cases: Sequence[Case], words: Sequence[str]) -> Path:
    """Write results.json and tables.md into a directory; return the former's path."""
    directory.mkdir(parents=True, exist_ok=True)
    command = "python -m tools.bench " + " ".join(words)
    figures = {"version": VERSION, "machine": machine(), "command": command}
    text = json.dumps({**figures, "cases": [case.as_json() for case in cases]}, indent=1)
    results = directory / "results.json"
    results.write_text(text + "\n", encoding="utf-8")
    rounds = f"Medians of {len(cases[0].rounds)} rounds (lowest .. highest)."
    head = f"`{command}`\n\n{machine()}\n\n{rounds}\n\n"
    (directory / "tables.md").write_text(head + markdown(cases), encoding="utf-8")
    return results
