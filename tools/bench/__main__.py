"""Run benchmarks: `python -m tools.bench [--full] [--out DIR] [p1 p2 ...]`.

Every figure stands beside a limit or a peer measured in the same round. Rounds are interleaved;
tables show medians, and the lowest and highest of all rounds. Progress goes to standard error.
With --out, figures, tables and pictures are written to a directory. See tools/bench/README.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from tools.bench import report
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
    parser.add_argument("--out", type=Path, metavar="DIR", help="write figures and pictures here")
    given = parser.parse_args(words)
    unknown = set(given.workloads) - set(WORKLOADS)
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")
    return given


def measured(options: argparse.Namespace) -> list[Case]:
    """Run the chosen cases."""
    place = Place(options.directory)
    try:
        chosen = options.workloads or list(WORKLOADS)
        cases = [case for name in chosen for case in WORKLOADS[name](place, full=options.full)]
        cases = [case for case in cases if options.only in case.name]
        rounds = options.rounds or (7 if options.full else 3)
        run_rounds(cases, rounds, lambda line: print(line, file=sys.stderr, flush=True))
    finally:
        place.remove()
    return cases


def write(directory: Path, cases: list[Case], words: list[str]) -> None:
    """Write figures, tables and, if they can be drawn, pictures."""
    results = report.write(directory, cases, words)
    if find_spec("matplotlib") is None:
        print("no pictures: matplotlib is not installed (pip install '.[bench]')", file=sys.stderr)
        return
    from tools.bench.charts import draw_all  # what it needs may be missing

    for path in draw_all([results], directory):
        print(path, file=sys.stderr)


def main(words: list[str]) -> int:
    """Measure, print, write."""
    options = arguments_of(words)
    began = time.monotonic()
    cases = measured(options)
    console = Console(width=None if sys.stdout.isatty() else 150, markup=False)
    if not cases:
        console.print("no such case")
        return 1
    for drawn in report.tables(cases):
        console.print(drawn)
    console.print(
        f"{report.machine()}, {len(cases[0].rounds)} rounds, {time.monotonic() - began:.0f} s"
    )
    if os.getloadavg()[1] > (os.cpu_count() or 1) + 1:
        console.print("The machine was busy with other things: take the CPU times, not the ratios.")
    if options.out:
        write(options.out, cases, words)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
