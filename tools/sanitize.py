"""Run the C code under sanitizers: `python -m tools.sanitize thread|address [pytest arguments]`.

thread: builds the ring and the frame codec, which need no Python.h, with tools/ring_stress.c under
ThreadSanitizer and runs the stress program. address: the same under AddressSanitizer and
UndefinedBehaviorSanitizer; then builds the extensions under both into a scratch copy of the tree
and runs the Python tests there.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.building import (
    COMPILED,
    COMPILER,
    ROOT,
    command_for,
    copy_tree,
    extensions,
    target_of,
)

STRESS = "tools/ring_stress.c"


def call(command: list[str], cwd: Path, environment: dict[str, str] | None = None) -> int:
    """Run a command where its output can be seen; return its exit code."""
    print("+", shlex.join(command), flush=True)
    return subprocess.run(
        command, cwd=cwd, env=os.environ | (environment or {}), check=False
    ).returncode


def library(name: str) -> str:
    """Find a sanitizer's runtime as the compiler sees it, links resolved; "" if there is none."""
    found = subprocess.run(
        [*COMPILER, f"-print-file-name={name}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return str(Path(found).resolve()) if Path(found).is_absolute() else ""


def ring_sources() -> list[str]:
    """List the C files of the ring and the frame codec that need no Python.h."""
    (ring,) = [module for module in extensions() if module["name"] == "logstore.ring._ring"]
    return [source for source in ring["sources"] if not Path(source).name.startswith("_")]


def run_stress(checks: str) -> int:
    """Build the ring's stress program under sanitizers and run it on rings of several sizes."""
    with tempfile.TemporaryDirectory(prefix="logstore-stress-") as scratch:
        program = str(Path(scratch) / "ring_stress")
        flags = ["-std=c11", "-g", "-O1", "-Wall", "-Wextra", f"-fsanitize={checks}", "-Ilogstore"]
        flags += ["-Wno-tsan"]  # why its silence on fences is harmless: see the program's head
        sources = [*ring_sources(), STRESS]
        code = call([*COMPILER, *flags, *sources, "-o", program, "-lpthread"], ROOT)
        # ThreadSanitizer of GCC 12 refuses address-space layouts of newer kernels: fix the layout.
        fixed = ["setarch", os.uname().machine, "-R"] if shutil.which("setarch") else []
        for seed, ring_size in enumerate((1 << 16, 1 << 12, 1 << 14, 1 << 20), start=1):
            arguments = ["-s", str(seed), "-r", str(ring_size), "-w", str(3 + seed)]
            options = {"TSAN_OPTIONS": "halt_on_error=1 exitcode=66"}
            code = code or call([*fixed, program, *arguments], ROOT, options)
        return code


def build_module(
    module: dict[str, Any],
    tree: Path,
    compiler: Sequence[str] = COMPILER,
    checks: str = "address,undefined",
) -> int:
    """Compile one extension of pyproject.toml into a copy of the tree, under sanitizers."""
    flags = ["-g", "-O1", "-fno-omit-frame-pointer"]
    flags += [f"-fsanitize={checks}", "-fno-sanitize-recover=undefined"]
    command = command_for(module, tree / target_of(module), flags, compiler)
    return call(command, tree)


def run_address(pytest_arguments: list[str]) -> int:
    """Build the extensions under AddressSanitizer and UBSan in a copy, and run the tests on it."""
    runtime = library("libasan.so")
    if not runtime:
        print("sanitize: the compiler has no libasan", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="logstore-asan-") as scratch:
        tree = Path(scratch)
        copy_tree(tree, COMPILED)
        for module in extensions():
            code = build_module(module, tree)
            if code:
                return code
        environment = {
            "LD_PRELOAD": runtime,
            # CPython keeps what it allocates at start; leaks of ours are looked for elsewhere.
            "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
            "PYTHONMALLOC": "malloc",
            "PYTHONPATH": str(tree),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        # The interpreter itself, not a version manager's script that would be preloaded as well.
        chosen = pytest_arguments or ["-m", "not slow"]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        return call([*command, "-o", "timeout=600", *chosen], tree, environment)


def main(arguments: list[str]) -> int:
    """Run the sanitizer that is named first; what follows goes to pytest."""
    match arguments:
        case ["thread"]:
            return run_stress("thread")
        case ["address", *rest]:
            return run_stress("address,undefined") or run_address(rest)
        case _:
            print(
                "usage: python -m tools.sanitize thread|address [pytest arguments]", file=sys.stderr
            )
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
