"""Check the model of guard, publish, repair and drain: `python -m tools.model_check`.

Runs logstore/ring/ring.pml through spin in every configuration: the model as it is, which must hold
in every interleaving, and copies with one planted bug each, which must all be found. Each line
says the configuration, the states seen, the seconds and the verdict. The exit code is 1 if the
model fails or a planted bug passes. `--quick` leaves out the long ones; names choose cases.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.building import COMPILER, ROOT

MODEL: Final = ROOT / "logstore" / "ring" / "ring.pml"
MEMORY_MB: Final = 7500
DEPTH: Final = 1_000_000

_STATES: Final = re.compile(r"^\s*([0-9.e+]+) states, stored", re.MULTILINE)
_ERRORS: Final = re.compile(r"errors: (\d+)")
_FOUND: Final = re.compile(r"^pan:1: (.+) \(at depth", re.MULTILINE)
_CUT_SHORT: Final = ("search depth too small", "Search not completed", "out of memory")


@dataclass(frozen=True, slots=True)
class Case:
    """One configuration of the model.

    Attributes:
        defines: What ring.pml is preprocessed with.
        broken: A bug is planted, so an error has to be found.
        endless: Look for runs without an end instead of broken assertions.
        long: It takes more than about 10 s.
    """

    name: str
    defines: str
    broken: bool = False
    endless: bool = False
    long: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What spin said of a case: the error that it found, or that there is none."""

    states: int
    error: str | None


MODELS: Final = (
    Case("two-writers", ""),
    Case("two-appends-each", "APPENDS=2", long=True),
    Case("three-writers-one-death", "WRITERS=3 CRASHES=1", long=True),
    Case("three-writers", "WRITERS=3", long=True),
    Case("three-writers-alone", "WRITERS=3 NO_SUPERVISOR"),
    Case("one-frame-of-room", "SLOTS=1"),
    Case("time-outs-at-any-time", "ANY_TIME", long=True),
    Case("entries-taken-anew-once", "REBORN CRASHES=1"),
    Case("entries-taken-anew", "REBORN", long=True),
    Case("no-wake-up-is-lost", "NO_TIMEOUTS CRASHES=0 WRITERS=3"),
    Case("supervisor-for-time-outs", "NO_TIMEOUTS SUPERVISOR_LIVES"),
    Case("every-run-ends", "", endless=True, long=True),
    Case("every-run-ends-alone", "WRITERS=3 CRASHES=1 NO_SUPERVISOR", endless=True),
)

BROKEN: Final = tuple(
    Case(name.lower().replace("_", "-"), f"{name} {defines}", broken=True)
    for name, defines in (
        ("PUBLISH_BEFORE_FILL", "CRASHES=0"),
        ("HEAD_BEFORE_HEADER", "CRASHES=0"),
        ("OWNER_BEFORE_HEAD", "CRASHES=0"),
        ("SEQ_BEFORE_HEAD", "CRASHES=1"),
        ("ROOM_NOT_CHECKED", "CRASHES=0 APPENDS=2"),
        ("OWNER_BY_STORE", "CRASHES=1"),
        ("NO_POST", "CRASHES=0 NO_TIMEOUTS NO_SUPERVISOR"),
        ("VALUE_BEFORE_OWNER", "CRASHES=0 NO_TIMEOUTS WRITERS=3 APPENDS=2"),
        ("NO_TIMEOUTS", "CRASHES=2"),
        ("NO_INTENT", "CRASHES=1"),
        ("NO_REDO", "CRASHES=1"),
        ("REDO_ALWAYS", "CRASHES=1"),
        ("REPAIR_THE_LIVING", "CRASHES=0"),
        ("NO_SECOND_LOOK_AT_OWNER", "CRASHES=1 ANY_TIME"),
        ("NO_RECOVERY_LOCK", "CRASHES=1 ANY_TIME"),
        ("INDEX_ALONE", "CRASHES=1 REBORN"),
        ("WALK_ON", "CRASHES=0"),
        ("NO_ABORT", "CRASHES=1"),
        ("ABORT_THE_LIVING", "CRASHES=0"),
        ("NO_SECOND_LOOK_AT_FRAME", "CRASHES=0"),
    )
)


def call(command: list[str], scratch: Path) -> str:
    """Run a command in the scratch directory; return what it says, or end if it fails."""
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"model_check: {shlex.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def check(case: Case, scratch: Path) -> Answer:
    """Build the checker of one configuration, run it to its end, and read what it says."""
    defines = [f"-D{define}" for define in case.defines.split()]
    call(["spin", "-a", *defines, str(MODEL)], scratch)
    kind = "-DNP" if case.endless else "-DSAFETY"
    built = ["-O2", "-w", kind, "-DCOLLAPSE", f"-DMEMLIM={MEMORY_MB}", "-o", "pan", "pan.c"]
    call([*COMPILER, *built], scratch)
    said = call(["./pan", f"-m{DEPTH}", "-w24", *(["-l"] if case.endless else [])], scratch)
    states, errors = _STATES.search(said), _ERRORS.search(said)
    found = _FOUND.search(said)
    if states is None or errors is None:
        sys.exit(f"model_check: {case.name}: spin says\n{said}")
    error = found.group(1) if found is not None else None
    if any(words in said for words in _CUT_SHORT) or (int(errors.group(1)) > 0) != bool(error):
        error = "the search was cut short" if error is None else error
    return Answer(round(float(states.group(1))), error)


def report(case: Case) -> bool:
    """Check one configuration and print its line; tell whether it is as it should be."""
    print(f"{case.name:<27}{case.defines:<37}", end="", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="logstore-model-") as scratch:
        answer = check(case, Path(scratch))
    seconds = time.monotonic() - began
    right = (answer.error is not None) == case.broken
    verdict = f"found: {answer.error}" if answer.error else "holds"
    print(
        f"{answer.states:>12,}{seconds:7.1f} s  {'' if right else 'WRONG: '}{verdict}", flush=True
    )
    return right


def chosen(names: list[str], quick: bool) -> list[Case]:
    """Choose the cases to run: the named ones, or all, or all but the long ones."""
    known = {case.name: case for case in (*MODELS, *BROKEN)}
    for name in names:
        if name not in known:
            sys.exit(f"model_check: no case {name!r}; there are {', '.join(known)}")
    if names:
        return [known[name] for name in names]
    return [case for case in known.values() if not (quick and case.long)]


def main() -> int:
    """Run the chosen cases, all of them whatever fails."""
    parser = argparse.ArgumentParser(description="Check the model of the ring's protocol.")
    parser.add_argument("--quick", action="store_true", help="leave out the long ones")
    parser.add_argument("names", nargs="*", metavar="NAME", help="run these cases only")
    options = parser.parse_args()
    if shutil.which("spin") is None:
        print("model_check: spin is missing; install it (Debian: apt-get install spin)")
        return 1
    wrong = [case.name for case in chosen(options.names, options.quick) if not report(case)]
    print(f"WRONG: {', '.join(wrong)}" if wrong else "the model holds; every planted bug is found")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
