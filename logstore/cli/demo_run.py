"""The demo's middle: start the service and the writers, kill two processes, collect the acks."""

from __future__ import annotations

import os
import select
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import logstore
from logstore.cli.demo_lines import Writer, writers
from logstore.cli.demo_writer import Ack
from logstore.cli.progress import Progress
from logstore.errors import LogstoreError, NotRunning, Timeout
from logstore.format import span

STOP_TIMEOUT_S: Final = 60.0
STALL_TIMEOUT_S: Final = 60.0


class DemoFailed(LogstoreError):
    """Tell that the demo could not be carried to its end."""


@dataclass(slots=True)
class Course:
    """How one writer's run went.

    Attributes:
        writer: Which one.
        acks: All durable appends that it told of, in order.
        killed: Whether the demo killed it.
    """

    writer: Writer
    acks: list[Ack] = field(default_factory=list)
    killed: bool = False

    @property
    def acked_count(self) -> int:
        """How many of its lines were acknowledged as durable."""
        return self.acks[-1].line_count if self.acks else 0


@dataclass(slots=True)
class Run:
    """How the whole run went.

    Attributes:
        courses: One for each writer.
        kills: What was killed, and when.
        elapsed_s: From the first append to the last ack.
        syncs: How often the syncer called fdatasync.
    """

    courses: list[Course]
    kills: list[tuple[str, int]] = field(default_factory=list)
    elapsed_s: float = 0.0
    syncs: int = 0


def planned_bytes(everyone: tuple[Writer, ...]) -> int:
    """Return how much the log will grow by, roughly: service frames are left out."""
    return sum(span(len(record)) for writer in everyone for record in writer.records())


def run(directory: Path, line_count: int, tell: Callable[[str], None], progress: Progress) -> Run:
    """Do the demo up to the clean stop of the service.

    Args:
        directory: Where to make the log.
        line_count: How many lines to append, about.
        tell: Called with each step in words.
        progress: Called with how many more lines are durable.

    Raises:
        DemoFailed: A writer ended by itself with an error, or the log stood still.
        LogstoreError: The service did not start or did not stop.
    """
    everyone = writers(line_count)
    tell(f"counting the lines of {Path(os.__file__).parent}")
    total = planned_bytes(everyone)
    with logstore.open(directory) as log:
        supervisor = _pid_of(log, "supervisor")
        tell(f"service runs in {directory} (supervisor {supervisor}); starting 4 writers")
        try:
            before = log.status().counters["syncs"]
            done = _Conduct(log, everyone, total, tell, progress).run(directory, line_count)
            done.syncs = log.status().counters["syncs"] - before
        finally:
            # Also when the demo failed: no service may outlive it.
            tell("stopping the service")
            stop(supervisor)
    return done


def stop(supervisor: int) -> None:
    """Ask a supervisor to stop in order, and wait until it has ended.

    Raises:
        Timeout: It has not ended in a minute.
    """
    ended = os.pidfd_open(supervisor)
    try:
        signal.pidfd_send_signal(ended, signal.SIGTERM)
        if not select.select([ended], [], [], STOP_TIMEOUT_S)[0]:
            raise Timeout(f"the service did not stop in {STOP_TIMEOUT_S:.0f} s", pid=supervisor)
    finally:
        os.close(ended)


class _Conduct:
    """Drive the writers and the two kills by what is acknowledged, never by time."""

    def __init__(
        self,
        log: logstore.Log,
        everyone: tuple[Writer, ...],
        total: int,
        tell: Callable[[str], None],
        progress: Progress,
    ) -> None:
        self._log = log
        self._progress = progress
        self._run = Run([Course(writer) for writer in everyone])
        self._tell = tell
        self._children: list[subprocess.Popen[bytes]] = []
        start_lsn = log.watermarks().synced
        # Killed when this much is durable: first a writer in the middle of its batches, then,
        # with the others still at work, the committer.
        self._kills: list[tuple[int, str, Callable[[], None]]] = [
            (start_lsn + total * 5 // 10, "writer", self._kill_writer),
            (start_lsn + total * 6 // 10, "committer", self._kill_committer),
        ]

    def run(self, directory: Path, line_count: int) -> Run:
        began = time.monotonic()
        with selectors.DefaultSelector() as selector:
            for course in self._run.courses:
                child = _start_writer(directory, course.writer, line_count)
                self._children.append(child)
                assert child.stdout is not None
                selector.register(child.stdout, selectors.EVENT_READ, (course, bytearray()))
            try:
                self._collect(selector)
            finally:
                for child in self._children:
                    child.kill()
                    child.wait()
                    assert child.stdout is not None
                    child.stdout.close()
        self._run.elapsed_s = time.monotonic() - began
        self._require_good_ends()
        return self._run

    def _collect(self, selector: selectors.BaseSelector) -> None:
        """Take in acks until all writers have ended; kill when the log has grown enough."""
        while selector.get_map():
            ready = selector.select(STALL_TIMEOUT_S)
            if not ready:
                raise DemoFailed(f"no record became durable within {STALL_TIMEOUT_S:.0f} s")
            for key, _ in ready:
                course, buffer = key.data
                piece = os.read(key.fd, 65536)
                buffer += piece
                acked_before = course.acked_count
                course.acks += Ack.take_from(buffer)
                self._progress(course.acked_count - acked_before)
                if not piece:
                    selector.unregister(key.fileobj)
            if self._kills and self._log.watermarks().synced >= self._kills[0][0]:
                _, name, kill = self._kills.pop(0)
                self._run.kills.append((name, time.monotonic_ns()))
                kill()

    def _kill_writer(self) -> None:
        course, child = self._run.courses[0], self._children[0]
        course.killed = child.poll() is None
        child.kill()
        self._tell(f"killed writer 0 (SIGKILL, pid {child.pid})")

    def _kill_committer(self) -> None:
        pid = _pid_of(self._log, "committer")
        os.kill(pid, signal.SIGKILL)
        self._tell(f"killed the committer (SIGKILL, pid {pid})")

    def _require_good_ends(self) -> None:
        if self._kills:
            raise DemoFailed("the writers ended before the kills")
        for course, child in zip(self._run.courses, self._children, strict=True):
            if not course.killed and child.returncode:
                number = course.writer.number
                raise DemoFailed(f"writer {number} failed with exit code {child.returncode}")


def _start_writer(directory: Path, writer: Writer, line_count: int) -> subprocess.Popen[bytes]:
    module = "logstore.cli.demo_writer"
    command = [
        sys.executable,
        "-P",
        "-m",
        module,
        str(directory),
        str(writer.number),
        str(line_count),
    ]
    # In a group of its own: Ctrl-C is for the demo, which ends its writers itself.
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, process_group=0
    )


def _pid_of(log: logstore.Log, role: str) -> int:
    for client in log.status().clients:
        if client.role == role and client.alive:
            return client.pid
    raise NotRunning(f"no {role} runs")
