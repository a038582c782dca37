"""Fuzz the parsers, guided by coverage: `python -m tools.fuzz [TARGET ...] [--seconds N]`.

Each target of tests/hostile/targets.py feeds bytes to a parser, in C or in Python, and compares
what it says with a second, independent decoder. The extensions are built with clang under
AddressSanitizer and UBSan, and both they and the Python of logstore tell atheris (libFuzzer) which
of their branches were taken. A crash, a hang (10 s), a gigabyte of memory, an exception that is not
documented and a different answer are findings.

What is interesting is kept in .fuzz/corpus/TARGET, where the next run begins, beside the seeds made
of the golden files; what is found is kept in .fuzz/findings. `--replay FILE` runs one such input
again, without any of the machinery. Copied to tests/hostile/findings/TARGET, it is run by the tests
for ever.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tests.hostile.targets import TARGETS
from tools.building import COMPILED, ROOT, copy_tree, extensions
from tools.sanitize import build_module

KEPT: Final = ROOT / ".fuzz"
CHECKS: Final = "address,undefined,fuzzer-no-link"
LARGEST_INPUT: Final = 4500
"""A segment's header and some more."""


def missing() -> str | None:
    """Say what has to be installed, if anything."""
    if shutil.which("clang") is None:
        return "needs clang and its sanitizers (Debian: apt install clang libclang-rt-14-dev)"
    if find_spec("atheris") is None:
        return "needs atheris (pip install atheris)"
    return None


def runtime() -> str:
    """Find AddressSanitizer and libFuzzer in one library, to be loaded before all else."""
    spec = find_spec("atheris")
    assert spec is not None
    assert spec.origin is not None
    (found,) = Path(spec.origin).parent.parent.glob("asan_with_fuzzer.so")
    return str(found)


def sow(name: str) -> Path:
    """Put a target's seeds into its corpus; return where that is."""
    corpus = KEPT / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds()):
        (corpus / f"seed-{number:03d}").write_bytes(seed)
    return corpus


def fuzz(name: str, seconds: int, tree: Path) -> bool:
    """Fuzz one target and print a line about it; its output follows if something was found."""
    corpus, findings = sow(name), KEPT / "findings"
    findings.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tools.fuzz.drive", name, str(corpus)]
    command += [f"-max_total_time={seconds}", f"-max_len={LARGEST_INPUT}", "-timeout=10"]
    command += [
        "-rss_limit_mb=1024",
        f"-artifact_prefix={findings}/{name}-",
        "-print_final_stats=1",
    ]
    environment = {
        "LD_PRELOAD": runtime(),
        # CPython keeps what it allocates at start; growth is bounded by the limit above.
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        "PYTHONPATH": str(tree),
    }
    began = time.monotonic()
    done = subprocess.run(
        command,
        cwd=tree,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    output = done.stdout.decode(errors="replace")
    seen = re.findall(r"cov: (\d+) ft: (\d+)", output)
    count = re.search(r"number_of_executed_units: (\d+)", output)
    coverage = f"{seen[-1][0]} branches" if seen else "no coverage"
    executed = f"{int(count[1]) if count else 0:>10} executions"
    verdict = "ok" if done.returncode == 0 else "FOUND SOMETHING"
    print(
        f"{name:<12}{executed}  {time.monotonic() - began:6.1f} s  {coverage:<16} {verdict}",
        flush=True,
    )
    if done.returncode:
        print("\n".join(output.splitlines()[-60:]), flush=True)
    return done.returncode == 0


def run(names: list[str], seconds: int) -> int:
    """Build a tree and fuzz the targets in it, one after the other."""
    with tempfile.TemporaryDirectory(prefix="logstore-fuzz-") as scratch:
        tree = Path(scratch)
        copy_tree(tree, COMPILED)
        for module in extensions():
            if build_module(module, tree, ["clang"], CHECKS):
                return 1
        passed = [fuzz(name, seconds, tree) for name in names]
    return 0 if all(passed) else 1


def main(arguments: list[str]) -> int:
    """Fuzz, or replay."""
    parser = argparse.ArgumentParser(description="Fuzz the parsers, guided by coverage.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=30, help="for each target (default: 30)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run the target on this input")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.targets if name not in TARGETS]
    if unknown or (given.replay and len(given.targets) != 1):
        parser.error(f"no target {unknown[0]!r}" if unknown else "--replay needs its target")
    if given.replay:
        TARGETS[given.targets[0]].run(given.replay.read_bytes())
        return 0
    lacking = missing()
    if lacking:
        print(f"fuzz: {lacking}", file=sys.stderr)
        return 2
    return run(given.targets or list(TARGETS), given.seconds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
