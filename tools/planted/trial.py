"""Running tests in a copy of the tree, and reading from pytest's report what became of them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tools.planted.tree import environment

TEST_LIMIT_S = 60.0
"""For one test; some bugs make a test wait for what does not come."""
RUN_LIMIT_S = 240.0
SHM = Path("/dev/shm")
# What a wrong edit raises, and no mistake of the kinds that are planted here.
_NOT_A_CATCH = re.compile(
    r"(NameError|ImportError|ModuleNotFoundError|SyntaxError|AttributeError)\b"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one test.

    Attributes:
        test: Its name, as pytest's command line takes it.
        kind: passed, failed, skipped, or error: not the test itself, but its making or clearing.
        said: The first line of why.
    """

    test: str
    kind: str
    said: str

    @property
    def catches(self) -> bool:
        """Whether this is a test that failed because something was wrong."""
        return self.kind == "failed" and not _NOT_A_CATCH.match(self.said)


@dataclass(frozen=True, slots=True)
class Run:
    """What became of all tests of one run.

    Attributes:
        outcomes: In the order of the report.
        code: Pytest's exit code; None if it did not end in time.
        seconds: How long it took.
        output: What pytest printed.
    """

    outcomes: tuple[Outcome, ...]
    code: int | None
    seconds: float
    output: str


def run(
    tree: Path, tests: Sequence[str], *, limit_s: float = RUN_LIMIT_S, to_the_end: bool = False
) -> Run:
    """Run tests in a copy of the tree until one fails, and leave nothing of it behind."""
    report, base = tree.parent / "report.xml", tree.parent / "base"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short"]
    command += [f"--basetemp={base}", f"--junitxml={report}", "-o", f"timeout={TEST_LIMIT_S:.0f}"]
    command += [*([] if to_the_end else ["-x"]), *tests]
    report.unlink(missing_ok=True)
    began = time.monotonic()
    with (tree.parent / "output").open("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(
            command,
            cwd=tree,
            env=environment(tree),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        code: int | None = None
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(limit_s)
        _clear(process, tree.parent)
        output.seek(0)
        text = output.read()
    seconds = time.monotonic() - began
    return Run(tuple(_outcomes(report)), code, seconds, text)


def _clear(process: subprocess.Popen[bytes], place: Path) -> None:
    """End what tests that failed have left running, and remove their shared memory."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for other in psutil.process_iter(["cmdline", "cwd"]):
        words = [*(other.info["cmdline"] or []), other.info["cwd"] or ""]
        if other.pid != os.getpid() and any(str(place) in word for word in words):
            with suppress(psutil.NoSuchProcess):
                other.kill()
                other.wait(10)
    for pattern in (f"logstore.t{process.pid}-*", f"sem.logstore.t{process.pid}-*"):
        for left in SHM.glob(pattern):
            left.unlink(missing_ok=True)


def _outcomes(report: Path) -> Iterator[Outcome]:
    if not report.exists():
        return
    for case in xml.parse(report).getroot().iter("testcase"):
        module = case.get("classname", "").replace(".", "/")
        test = f"{module}.py::{case.get('name')}"
        kind, said = "passed", ""
        for mark, meaning in (("skipped", "skipped"), ("error", "error"), ("failure", "failed")):
            for found in case.iter(mark):
                kind, said = meaning, _first_line(found.get("message") or found.text or "")
        yield Outcome(test, kind, said)


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
