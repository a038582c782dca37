"""With strace: a process dies before its N-th system call of some kind, or calls of it fail."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


@contextmanager
def failing(pid: int, injected: str, report: Path) -> Iterator[None]:
    """Let system calls of a running process fail for the block, as `injected` says to strace."""
    words = ["strace", "-qq", "-f", "-o", str(report), "-e", f"trace={injected.partition(':')[0]}"]
    process = os.pidfd_open(pid)
    tracer = subprocess.Popen([*words, "-e", f"inject={injected}", "-p", str(pid)])
    status = Path(f"/proc/{pid}/status")
    try:
        until(lambda: f"TracerPid:\t{tracer.pid}" in status.read_text(), "strace is attached")
        yield
    finally:
        # A call that is to fail is turned into one that does not exist, and gets its error on the
        # way out: if it were let go in between, the process would see an ENOSYS of no kernel.
        with suppress(ProcessLookupError, FileNotFoundError):  # it has ended: so will the tracer
            signal.pidfd_send_signal(process, signal.SIGSTOP)
            until(
                lambda: tracer.poll() is not None or _has_stopped(pid, report.read_text()),
                "every thread has stopped",
            )
        tracer.terminate()
        tracer.wait(10.0)
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal.SIGCONT)
        os.close(process)


def _has_stopped(pid: int, report: str) -> bool:
    """Tell from what strace reports whether every thread of a process has come to its stop."""
    stopped = re.findall(r"^(\d+) +--- stopped by SIGSTOP ---$", report, re.MULTILINE)
    return {task.name for task in Path(f"/proc/{pid}/task").iterdir()} <= set(stopped)
