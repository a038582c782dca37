"""Count the instructions of the ring's paths: `python -m tools.instructions`.

Instructions are the same on a busy machine as on a calm one, so a slow-down of a path shows
wherever this runs. Needs a C compiler and valgrind. The C paths run in tools/ring_paths.c; appends
and scans from Python in tools/python_paths.py, which takes some seconds.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tools.building import COMPILER, ROOT
from tools.sanitize import ring_sources

RECORDS: Final = 6400
C_PATHS: Final = ("path_append", "path_append_many", "path_drain", "path_check", "path_wait")
PYTHON_PATHS: Final = (
    "ring_append",
    "ring_append_many",
    "scan",
    "delivery_next",
    "find",
    "frame_at",
    "files_load",
    "files_load_seq",
)


def missing() -> str | None:
    """Say what is not installed; None if paths can be counted."""
    if shutil.which("valgrind") is None:
        return "valgrind is not installed (apt-get install valgrind)"
    return None if shutil.which(COMPILER[0]) else f"no C compiler {COMPILER[0]}"


def _callgrind(command: list[str], options: list[str], environment: dict[str, str]) -> list[str]:
    """Run a command under callgrind; return its dumps, in order."""
    with tempfile.TemporaryDirectory(prefix="logstore-instructions-") as scratch:
        out = Path(scratch) / "out"
        words = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}", *options]
        done = subprocess.run(
            [*words, *command],
            cwd=ROOT,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ChildProcessError(f"{shlex.join(command)}: {done.stdout}{done.stderr}")
        dumps = sorted(Path(scratch).glob("out.*"), key=lambda path: int(path.suffix[1:]))
        return [path.read_text(encoding="utf-8") for path in dumps or [out]]


def count_c(size: int) -> dict[str, float]:
    """Return the instructions a record of the C paths, by path, for payloads of a size."""
    with tempfile.TemporaryDirectory(prefix="logstore-paths-") as scratch:
        program = str(Path(scratch) / "ring_paths")
        flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Ilogstore"]
        sources = [*ring_sources(), "tools/ring_paths.c"]
        build = [*COMPILER, *flags, *sources, "-o", program, "-lpthread"]
        subprocess.run(build, cwd=ROOT, check=True)
        options = [f"--dump-{when}={path}" for path in C_PATHS for when in ("before", "after")]
        dumps = _callgrind([program, str(size), str(RECORDS)], options, {})
    counts = {}
    for dump in dumps:
        ended = re.search(r"^desc: Trigger: --dump-after=(\w+)$", dump, re.MULTILINE)
        total = re.search(r"^totals: (\d+)", dump, re.MULTILINE)
        if ended and total:
            counts[ended[1]] = int(total[1]) / RECORDS
    return counts


def _inclusive(dump: str, functions: tuple[str, ...]) -> dict[str, int]:
    """Sum up what callgrind has counted in functions and in what they called.

    A dump is a list of functions, `fn=(id) name`, each with lines of own cost, and with the cost
    of a call on the line behind `calls=`. Names are given at their first mention only.
    """
    names: dict[str, str] = {}
    costs = dict.fromkeys(functions, 0)
    here = ""
    for line in dump.splitlines():
        if match := re.match(r"c?fn=\((\d+)\)(?: (.+))?", line):
            if match[2]:
                names[match[1]] = match[2]
            if line.startswith("fn="):
                here = names[match[1]]
        elif here in costs and (match := re.match(r"[+\-*\d]+ (\d+)$", line)):
            costs[here] += int(match[1])
    return costs


def count_python() -> dict[str, float]:
    """Return the instructions a record in C functions that Python calls, all they call included."""
    environment = {"PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]])}
    interpreter = str(Path(sys.executable).resolve())
    command = [interpreter, "-m", "tools.python_paths", str(RECORDS)]
    (dump,) = _callgrind(command, [], environment)
    return {name: cost / RECORDS for name, cost in _inclusive(dump, PYTHON_PATHS).items()}


def main() -> int:
    """Print all counts."""
    reason = missing()
    if reason is not None:
        print(f"instructions: {reason}", file=sys.stderr)
        return 1
    for size in (64, 1024):
        for path, count in count_c(size).items():
            print(f"{path:<18} {size:5} B {count:8.0f} instructions a record")
    for path, count in count_python().items():
        print(f"{path:<18} {64:5} B {count:8.0f} instructions a record, from Python")
    return 0


if __name__ == "__main__":
    sys.exit(main())
