"""A short life of a simulated service with real syncs, for strace to watch.

`python -m tests.power.traced DIR` prints what was recorded, a line each: call, name, number.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from tests.power.recording import Trace
from tests.power.service import Ending, Simulation

Call: TypeAlias = tuple[str, str, int]

NOTES = ("issued", "acked")


def calls_of(trace: Trace) -> Iterator[Call]:
    """Iterate over what was recorded as (call, name, number), without the notes."""
    names: dict[int, str] = {}
    for op in trace.ops:
        if op.what in NOTES:
            continue
        if op.what in ("create", "rename"):
            names[op.file] = op.to or op.name
        name = op.name or names[op.file]
        if op.what == "rename":
            yield op.what, f"{op.name}>{op.to}", 0
        elif op.what == "write":
            yield op.what, name, op.number * 1_000_000 + len(op.data)
        else:
            yield op.what, name, op.number if op.what == "size" else 0


def main(path: Path) -> None:
    """Live, and print."""
    simulation = Simulation(path, 1, really_sync=True)
    simulation.run([Ending.KILL, Ending.STOP], actions=20)
    for call in calls_of(simulation.trace):
        print(*call)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
