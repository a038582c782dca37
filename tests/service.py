"""A log's service as a test handles it: started, found through its own region, killed by pid."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from unittest import mock

import psutil

import logstore
from logstore import raw
from logstore.ring import region
from logstore.ring._ring import LAYOUT
from logstore.ring.layout import COMMITTER, SUPERVISOR, SYNCER, client_offset, index_of
from logstore.ring.process import start_ticks

ROOT: Final = Path(__file__).resolve().parent.parent
SHM: Final = Path("/dev/shm")
INDEX: Final = {"supervisor": SUPERVISOR, "committer": COMMITTER, "syncer": SYNCER}
ROLES: Final = tuple(INDEX)
READY_S: Final = 30.0


def until(ready: Callable[[], object], what: str, timeout_s: float = 10.0) -> None:
    """Wait until `ready` returns something true; fail with `what` when the time is up."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.002)


def ended(pidfd: int, timeout_s: float) -> bool:
    """Wait until the process behind a pidfd has ended; tell whether it has."""
    return bool(select.select([pidfd], [], [], timeout_s)[0])


def kill(pid: int, number: int = signal.SIGKILL, *, timeout_s: float = 10.0) -> None:
    """Send a signal that ends a process, and wait until it has ended."""
    pidfd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(pidfd, number)
        assert ended(pidfd, timeout_s), f"pid {pid} does not end after signal {number}"
    finally:
        os.close(pidfd)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a child: it imports this tree, or what `extra` puts before it."""
    given = dict(extra or {})
    first = given.pop("PYTHONPATH", None)
    path = os.pathsep.join([*([first] if first else []), str(ROOT)])
    return {**os.environ, "PYTHONPATH": path, **given}


def processes_of(path: Path) -> list[psutil.Process]:
    """Return the processes with a directory, or something in it, on their command line."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        inside = any(word == str(path) or word.startswith(f"{path}/") for word in words)
        if inside and process.pid != os.getpid() and process.info["status"] != "zombie":
            found.append(process)
    return found


def shared_objects(prefix: str) -> list[str]:
    """Return what is in shared memory for logs whose names begin with `prefix`."""
    starts = (f"logstore.{prefix}", f"sem.logstore.{prefix}")
    return sorted(entry.name for entry in SHM.iterdir() if entry.name.startswith(starts))


@dataclass(slots=True)
class Service:
    """One log's service, run in the foreground by the test."""

    path: Path
    name: str
    options: dict[str, object] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    wrapper: tuple[str, ...] = ()  # what runs the supervisor, such as strace

    def start(self) -> Service:
        """Start the supervisor and return when clients can append.

        Raises:
            AssertionError: It did not come up, with its answer.
        """
        answer = self.try_start()
        assert answer == {}, f"the service did not start: {answer}\n{self.messages()}"
        return self

    def try_start(self) -> dict[str, object] | None:
        """Start the supervisor and return its answer: {} if it is up, None if there was none."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        reader, writer = os.pipe()
        command = [*self.wrapper, sys.executable, "-m", "logstore.workers.supervisor"]
        command += [str(self.path)]
        command += ["--options", json.dumps(self.options), "--ready-fd", str(writer)]
        command += ["--name", self.name]
        with os.fdopen(reader, "rb") as ready:
            try:
                with self._messages.open("ab") as messages:
                    self.process = subprocess.Popen(
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=messages,
                        pass_fds=[writer],
                        cwd=self.path.parent,
                        env=environment(self.environment),
                        start_new_session=True,
                    )
            finally:
                os.close(writer)
            assert select.select([ready], [], [], READY_S)[0], "the service says nothing"
            line = ready.readline()
        answer = dict(json.loads(line)) if line else None
        if answer != {}:
            self.process.wait(10.0)  # it has said why, or was killed
        return answer

    @property
    def _messages(self) -> Path:
        return self.path.parent / f"{self.path.name}.messages"

    def messages(self) -> str:
        """Return what supervisor and workers have written to standard error."""
        return self._messages.read_text() if self._messages.exists() else ""

    # Its processes.

    def pid(self, role: str) -> int:
        """Return the pid that a role's entry in the region names, dead or alive."""
        ring, _ = region.attach(self.name, read_only=True)
        return ring.load(client_offset(INDEX[role], "pid"))

    def is_alive(self, role: str) -> bool:
        """Tell whether the process that has the role lives."""
        ring, _ = region.attach(self.name, read_only=True)
        pid = ring.load(client_offset(INDEX[role], "pid"))
        ticks = ring.load(client_offset(INDEX[role], "start_ticks"))
        return pid != 0 and start_ticks(pid) == ticks and psutil.Process(pid).status() != "zombie"

    def send(self, role: str, number: int) -> int:
        """Send a signal to a role's process, and return its pid."""
        pid = self.pid(role)
        os.kill(pid, number)
        return pid

    def kill(self, role: str) -> int:
        """Kill a role's process and return the pid it had; it has ended on return."""
        pid = self.pid(role)
        kill(pid)
        if role == "supervisor" and self.process is not None:
            self.process.wait()
        return pid

    def kill_all(self) -> None:
        """Kill the service's processes at once, the supervisor first, so that it mends nothing."""
        pids = [self.pid(role) for role in ROLES if self.is_alive(role)]
        # A worker that is still starting has not taken its role yet.
        starting = psutil.Process(pids[0]).children() if self.is_alive("supervisor") else []
        pids += [one.pid for one in starting if one.pid not in pids and one.status() != "zombie"]
        pidfds = [os.pidfd_open(pid) for pid in pids]
        for pidfd in pidfds:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        for pidfd in pidfds:
            assert ended(pidfd, 10.0)
            os.close(pidfd)
        if self.process is not None:
            self.process.wait()

    def until_restarted(self, role: str, old_pid: int, timeout_s: float = 10.0) -> int:
        """Wait until another process has the role, and return its pid."""
        until(
            lambda: self.pid(role) != old_pid and self.is_alive(role),
            f"another {role} than pid {old_pid}",
            timeout_s,
        )
        return self.pid(role)

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 30.0) -> int:
        """Stop the service that this object started, and return its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout_s)

    def clean_up(self) -> None:
        """End what is left of the service, whatever became of it, and its shared memory."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for process in processes_of(self.path):
            process.kill()
        until(lambda: not processes_of(self.path), f"processes of {self.path} have ended")
        region.unlink(self.name)

    # Its log.

    def attach(self, *, read_only: bool = False) -> logstore.Log:
        """Attach to the log."""
        return logstore.attach(self.name, read_only=read_only)

    def read_all(self) -> list[logstore.Record]:
        """Make everything durable, and read it back from the files, also what the ring has."""
        with self.attach() as log, mock.patch.object(raw, "RECENT", 0):
            log.sync(timeout=30.0)
            return list(log.read())

    def copy(self, target: Path) -> Path:
        """Copy the data directory as it is."""
        shutil.copytree(self.path, target)
        return target


@contextmanager
def stopped(pid: int, outside: logstore.Log | None = None) -> Iterator[None]:
    """Stop a process with SIGSTOP for the block, and let it go on afterwards.

    Args:
        pid: The process.
        outside: The log inside whose guard it must not be stopped: nobody could append.
    """
    try:
        _stop(pid)
        while outside is not None and _is_in_guard(pid, outside):
            os.kill(pid, signal.SIGCONT)
            until(lambda: not _is_in_guard(pid, outside), f"pid {pid} has left the guard")
            _stop(pid)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    until(lambda: psutil.Process(pid).status() == "stopped", f"pid {pid} is stopped")


def _is_in_guard(pid: int, log: logstore.Log) -> bool:
    ring = log._client.ring
    owner = ring.load(LAYOUT["owner"])
    return owner != 0 and ring.load(client_offset(index_of(owner), "pid")) == pid
