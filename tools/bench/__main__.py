"""Run benchmarks: `python -m tools.bench [--short|--full] [--json FILE] [p1 p2 ...]`.

Every figure stands beside a limit measured in the same round by plain system calls. Rounds are
interleaved; the table shows medians, and the lowest and highest of all rounds. Progress goes to
standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tools.bench.measure import Case, run_rounds
from tools.bench.place import Place
from tools.bench.work import WORKLOADS


def arguments_of(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description="Measure logstore.")
    parser.add_argument("workloads", nargs="*", metavar="|".join(WORKLOADS))
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--short", action="store_true", help="a few minutes (the default)")
    form.add_argument("--full", action="store_true", help="all cases, more bytes, more rounds")
    parser.add_argument("--rounds", type=int, help="default: 3, or 7 with --full")
    parser.add_argument("--only", default="", help="only cases whose name has this in it")
    parser.add_argument("--directory", type=Path, help="where to work: on the disk to be measured")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    given = parser.parse_args(words)
    unknown = set(given.workloads) - set(WORKLOADS)
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")
    return given


def machine() -> dict[str, object]:
    """Say on what this ran."""
    return {
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def number(value: float) -> str:
    """Write a figure with three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(workload: str, cases: list[Case]) -> Table:
    """Draw one workload."""
    metrics = list(dict.fromkeys(metric for case in cases for metric in case.rounds[0]))
    drawn = Table("case", *metrics, "bar", title=workload, title_justify="left")
    for case in cases:
        cells = []
        for metric in metrics:
            if metric in case.rounds[0]:
                low, high = case.spread(metric)
                cells.append(f"{number(case.median(metric))}\n[{number(low)} .. {number(high)}]")
            else:
                cells.append("")
        verdict = {None: "", True: "met", False: "missed"}[case.verdict()]
        drawn.add_row(case.name, *cells, f"{case.bar}\n{verdict}" if case.bar else "")
    return drawn


def main(words: list[str]) -> int:
    """Measure, print, write."""
    options = arguments_of(words)
    place = Place(options.directory)
    began = time.monotonic()
    chosen = options.workloads or list(WORKLOADS)
    cases = [case for name in chosen for case in WORKLOADS[name](place, full=options.full)]
    cases = [case for case in cases if options.only in case.name]
    try:
        rounds = options.rounds or (7 if options.full else 3)
        run_rounds(cases, rounds, lambda line: print(line, file=sys.stderr, flush=True))
    finally:
        place.remove()
    console = Console(width=None if sys.stdout.isatty() else 150, markup=False)
    for workload in dict.fromkeys(case.workload for case in cases):
        console.print(table(workload, [case for case in cases if case.workload == workload]))
    console.print(f"{machine()}, {rounds} rounds, {time.monotonic() - began:.0f} s")
    if os.getloadavg()[1] > (os.cpu_count() or 1) + 1:
        console.print("The machine was busy with other things: take the CPU times, not the ratios.")
    if options.json:
        figures = {"version": 1, "machine": machine(), "command": ["tools.bench", *words]}
        text = json.dumps({**figures, "cases": [case.as_json() for case in cases]}, indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
