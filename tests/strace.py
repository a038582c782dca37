"""Killing a process before its N-th system call of some kind, with strace."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.service import until

CALLS: Final = (
    "pwrite64",
    "fdatasync",
    "fsync",
    "ftruncate",
    "fallocate",
    "openat",
    "/rename",
    "/unlink",
    "fcntl",
    "futex",
)
_STRACE: Final = shutil.which("strace")


def _why_not() -> str:
    """Say why system calls cannot be intercepted here, or ""."""
    if _STRACE is None:
        return "strace is not installed"
    done = subprocess.run(
        [_STRACE, "-o", "/dev/null", "true"], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else f"strace may not trace here: {done.stderr.strip()}"


_REASON: Final = _why_not()

needs_strace: Final = pytest.mark.skipif(bool(_REASON), reason=_REASON)


def command(calls: str, number: int, report: Path) -> list[str]:
    """Return the beginning of a command line whose process dies before that system call."""
    inject = f"inject={calls}:signal=SIGKILL:when={number}"
    return ["strace", "-o", str(report), "-e", f"trace={calls}", "-e", inject]


@contextmanager
def killing(pid: int, calls: str, number: int, report: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Have a running process die before a system call from now on; the tracer ends with it."""
    words = [*command(calls, number, report), "-f", "-p", str(pid)]
    errors = report.with_suffix(".errors")
    with errors.open("wb") as said:
        tracer = subprocess.Popen(words, stderr=said)
    try:
        until(lambda: re.search(r"[Pp]rocess \d+ attached", errors.read_text()), "strace is there")
        yield tracer
    finally:
        if tracer.poll() is None:
            tracer.terminate()  # it lets go of the process
        tracer.wait(10.0)
