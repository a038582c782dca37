"""Run the project's checks: `make check`, or with `--all` the long ones too (`make check-all`).

Each step prints its name, its seconds and its verdict; a failed step's output follows it. The exit
code is 1 if any step failed. `python tools/check.py NAME ...` runs the named steps alone.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
STUBTEST = (
    "--concise",
    "--mypy-config-file=pyproject.toml",
    "--allowlist=tools/stubtest_allowlist.txt",
    "--ignore-unused-allowlist",
)
COMPILED_MODULES = ("logstore.frames._frame", "logstore.ring._ring")
PYTEST = (PYTHON, "-m", "pytest", "-q", "--no-header")


@dataclass(frozen=True, slots=True)
class Step:
    """One check: a name and the command that fails when the check does."""

    name: str
    command: tuple[str, ...]
    long: bool = False


STEPS = (
    Step("format", (PYTHON, "-m", "ruff", "format", "--check", "--quiet", ".")),
    Step("lint", (PYTHON, "-m", "ruff", "check", "--quiet", ".")),
    Step("floors", (PYTHON, "tools/floors.py")),
    Step("sizes", (PYTHON, "tools/sizes.py")),
    Step("types", (PYTHON, "-m", "mypy", "--no-error-summary")),
    Step("stubs", (PYTHON, "-m", "mypy.stubtest", *STUBTEST, *COMPILED_MODULES)),
    Step("tests", (*PYTEST, "-m", "not process and not crash and not slow")),
    Step("process", (*PYTEST, "-m", "(process or crash) and not slow"), long=True),
    Step("slow", (*PYTEST, "-m", "slow"), long=True),
    Step("planted-bugs", (PYTHON, "-m", "tools.planted"), long=True),
    Step("model", (PYTHON, "-m", "tools.model_check"), long=True),
    Step("wheel", (PYTHON, "tools/wheel_check.py"), long=True),
    Step("thread-sanitizer", (PYTHON, "-m", "tools.sanitize", "thread"), long=True),
    Step("address-sanitizer", (PYTHON, "-m", "tools.sanitize", "address"), long=True),
    Step("fuzz", (PYTHON, "-m", "tools.fuzz", "--seconds", "20"), long=True),
)

NO_TESTS_COLLECTED = 5


def run(step: Step) -> bool:
    """Run one step and print its line; its output is shown only if it failed."""
    print(f"{step.name:<18}", end="", flush=True)
    began = time.monotonic()
    done = subprocess.run(
        step.command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - began
    is_pytest = step.command[: len(PYTEST)] == PYTEST
    passed = done.returncode == 0 or (is_pytest and done.returncode == NO_TESTS_COLLECTED)
    lines = done.stdout.strip().splitlines()
    note = f"  {lines[-1]}" if passed and is_pytest and lines else ""
    print(f"{seconds:7.1f} s  {'ok' if passed else 'FAILED'}{note}", flush=True)
    if not passed:
        print("\n".join(f"    {line}" for line in lines), flush=True)
    return passed


def chosen(names: list[str], everything: bool) -> list[Step]:
    """Choose the steps to run: the named ones, or the short ones, or all."""
    known = {step.name: step for step in STEPS}
    for name in names:
        if name not in known:
            sys.exit(f"check: no step {name!r}; there are {', '.join(known)}")
    if names:
        return [known[name] for name in names]
    return [step for step in STEPS if everything or not step.long]


def main() -> int:
    """Run the chosen steps, all of them whatever fails, and say how it went."""
    parser = argparse.ArgumentParser(description="Run the project's checks.")
    parser.add_argument(
        "--all",
        action="store_true",
        help="add process, crash, slow, planted bugs, model, sanitizers",
    )
    parser.add_argument("steps", nargs="*", metavar="NAME", help="run these steps only")
    options = parser.parse_args()
    began = time.monotonic()
    failed = [step.name for step in chosen(options.steps, options.all) if not run(step)]
    verdict = f"FAILED: {', '.join(failed)}" if failed else "all checks passed"
    print(f"{verdict} ({time.monotonic() - began:.0f} s)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
