"""The supervisor: starts the committer and the syncer, restarts them, cleans up after dead clients.

It moves no record. While it is dead the log goes on; the next supervisor adopts what runs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from logstore import status
from logstore.disk_errors import writing
from logstore.errors import InUse, LogstoreError, NotRunning
from logstore.files import Directory
from logstore.options import Options, folder_mode
from logstore.points import point
from logstore.ring import region
from logstore.ring._ring import LAYOUT
from logstore.ring.failure import failure
from logstore.ring.layout import COMMITTER, FIRST_CLIENT, SUPERVISOR, SYNCER, State
from logstore.ring.liveness import LockFile
from logstore.ring.repair import Liveness, repair_guard
from logstore.segments import manifest as manifests
from logstore.workers import startup
from logstore.workers.children import Child, Watch
from logstore.workers.report import tell
from logstore.workers.stalls import STALLS, GuardWatch, RoleWatch

TICK_S: Final = 0.25
STOP_GRACE_S: Final = 10.0  # for live clients to finish the frames they are filling

logger = logging.getLogger("logstore.supervisor")


class Supervisor:
    """One log's service, run in the calling process."""

    def __init__(self, path: str | os.PathLike[str], options: Options, name: str | None) -> None:
        """Take the directory and bring the log up; the workers are not started yet.

        Raises:
            InUse: Another supervisor has the directory.
            LogstoreError: The log cannot be recovered; see `startup.start`.
        """
        with writing("the data directory"):
            self.directory = Directory.open(path, create=True, mode=folder_mode(options.mode))
        try:
            self._lock = LockFile(self.directory.path, mode=options.mode)
        except BaseException:
            self.directory.close()
            raise
        self._options = options
        try:
            if not self._lock.take(SUPERVISOR):
                raise self._in_use()
            self.client = startup.start(self.directory, self._lock, options, name).client
            self._ring = self.client.ring
            self._liveness = Liveness(self._ring, self.directory.path)
            self._watch = Watch(self._ring, self._liveness)
        except BaseException:
            self._lock.close()
            self.directory.close()
            raise
        self._children = {
            role: Child(role, self.directory.path, self.client) for role in (COMMITTER, SYNCER)
        }
        self._stopping = False
        self._lonely = False  # stopping because the last client has left, not because told to
        self._last_client_s = time.monotonic()
        self._told: State | None = None
        self._stalls = GuardWatch(self._ring), RoleWatch(self._ring, self._liveness)
        self._told_stall: tuple[str, int] | None = None

    def _in_use(self) -> InUse:
        """Say who runs this directory."""
        pid: int | None = None
        with contextlib.suppress(LogstoreError):
            found = manifests.load(self.directory)
            if found is not None:
                ring, _ = region.attach(found.name, read_only=True)
                pid = ring.load(LAYOUT["clients"] + LAYOUT["client.pid"])
        return InUse(
            "another supervisor serves this directory; attach to it",
            path=self.directory.path,
            pid=pid,
        )

    def run(self, ready: Callable[[], None] = lambda: None) -> int:
        """Serve until told to stop; blocks. Returns an exit code: 0 after a clean stop.

        Args:
            ready: Called once, when clients can append.
        """
        with self._signals(), self._watch:
            for child in self._children.values():
                child.start_if_free(self._liveness)
            self._await_workers()
            point("start.workers")
            if not self._stopping:
                if self.client.state == State.STARTING:
                    self._ring.set_state(State.RUNNING)
                point("start.running")
                ready()
            while not self._stopping or self._somebody_came():
                self._watch.wait(TICK_S)
                self._look_after()
            return self._stop()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(number: int, frame: object) -> None:
            self._stopping = True

        main_thread = threading.current_thread() is threading.main_thread()
        numbers = (signal.SIGTERM, signal.SIGINT) if main_thread else ()
        old = {number: signal.signal(number, stop) for number in numbers}
        wakeup = signal.set_wakeup_fd(self._watch.bell, warn_on_full_buffer=False) if old else -1
        try:
            yield
        finally:
            if old:
                signal.set_wakeup_fd(wakeup)
            for number, handler in old.items():
                signal.signal(number, handler)

    def _await_workers(self) -> None:
        deadline = time.monotonic() + 30.0
        while not all(self._liveness.held(role) for role in self._children):
            self._watch.wait(0.005)
            for child in self._children.values():
                child.restart_if_dead(self._liveness)
            if self._stopping:
                return
            if time.monotonic() > deadline:
                raise NotRunning("the workers did not come up; see the messages above")

    # While it runs.

    def _look_after(self) -> None:
        """Restart dead workers, free what dead clients held, notice the last client's leaving."""
        for child in self._children.values():
            child.restart_if_dead(self._liveness)
        if self._watch.someone_died():
            # A client killed between taking a token and the guard took the token with it.
            self._ring.post()
        if repair_guard(self._ring, self._liveness):
            logger.warning("freed the guard from a dead client")
        for watch in self._stalls:
            watch.look()
        self._tell_state()
        self._tell_stall()
        if self._options.linger_s is not None:
            self._leave_when_alone(self._options.linger_s)

    def _tell_state(self) -> None:
        state = self.client.state
        if state is not self._told and state in (State.FULL, State.FAILED):
            path, stage, number = failure(self._ring)
            logger.error("log is %s: %s: %s (%s)", state.name, stage, os.strerror(number), path)
        elif state is not self._told:
            logger.info("log is %s", state.name)
        self._told = state

    def _tell_stall(self) -> None:
        """Report, once, who lives and holds all others up; nothing is taken from it."""
        stall = status.stall(self._ring)
        if stall is not None and (stall["holds"], stall["lsn"]) != self._told_stall:
            self._told_stall = (stall["holds"], stall["lsn"])
            logger.warning(STALLS[stall["holds"]], stall["pid"], stall["lsn"])

    def _leave_when_alone(self, linger_s: float) -> None:
        now = time.monotonic()
        if self._liveness.any_held(FIRST_CLIENT, LAYOUT["CLIENTS"]):
            self._last_client_s = now
        elif now - self._last_client_s >= linger_s:
            logger.info("the last client left %.1f s ago", now - self._last_client_s)
            self._lonely = self._stopping = True

    def _somebody_came(self) -> bool:
        """Before leaving alone, close the doors; if a client came just before, open them again.

        Invariant: a client takes its lock and then looks at the state; we close the doors and then
        look at the locks. So it sees closed doors and waits, or we see it and stay.
        """
        if not self._lonely or self.client.state != State.RUNNING:
            return False
        if not self._close_doors(State.STARTING) or not self._liveness.any_held(
            FIRST_CLIENT, LAYOUT["CLIENTS"]
        ):
            return False
        self._ring.set_state(State.RUNNING)
        self._lonely = self._stopping = False
        self._last_client_s = time.monotonic()
        return True

    # The end.

    def _stop(self) -> int:
        """Drain, sync, seal, remove the region; without success the region stays for salvage."""
        clean = (
            self.client.state != State.FAILED
            and self._close_doors(State.DRAINING)
            and self._await_closed()
        )
        point("stop.awaited")
        for child in self._children.values():
            child.end(kill=not clean)
        point("stop.workers")
        self._liveness.close()
        if clean or not self.directory.path.exists():
            # Without the directory there is nothing to recover into.
            region.unlink(self.client.identity.name)
        self.client.close()
        self._lock.close()
        self.directory.close()
        logger.info("stopped %s", "cleanly" if clean else "with the ring left for recovery")
        return 0 if clean else 1

    def _close_doors(self, state: State) -> bool:
        """Set a state in which nothing can be reserved; after it no reservation is under way."""
        deadline = time.monotonic() + STOP_GRACE_S
        while not self._ring.set_state(state, 0.1):
            repair_guard(self._ring, self._liveness)
            if time.monotonic() > deadline:
                return False
        return True

    def _await_closed(self) -> bool:
        deadline = time.monotonic() + STOP_GRACE_S
        written = -1
        while self.client.state == State.DRAINING:
            self._watch.wait(0.02)
            for child in self._children.values():
                child.restart_if_dead(self._liveness)
            now_written = self._ring.load(LAYOUT["written"])
            if now_written != written:
                written, deadline = now_written, time.monotonic() + STOP_GRACE_S
            if time.monotonic() > deadline:
                logger.error("a frame at LSN %d is not finished; giving up", written)
                return False
        return self.client.state == State.CLOSED


def run(
    path: str | os.PathLike[str],
    options: Options,
    name: str | None = None,
    ready: Callable[[], None] = lambda: None,
) -> int:
    """Serve a directory until SIGTERM or SIGINT; return the exit code."""
    code = Supervisor(path, options, name).run(ready)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # told twice is no reason to die on the way out
    return code


def _detach() -> None:
    """Leave the caller's session and family; the caller sees this process end at once."""
    if os.fork():
        os._exit(0)
    os.setsid()


def main(argv: list[str]) -> int:
    """Run as a process that `logstore.open` starts; see `logstore.service`."""
    parser = argparse.ArgumentParser(prog="python -m logstore.workers.supervisor")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--name")
    parser.add_argument("--options", default="{}", help="flags as JSON")
    parser.add_argument("--ready-fd", type=int, default=-1)
    parser.add_argument("--detach", action="store_true", help="go on in a child of init")
    arguments = parser.parse_args(argv)
    if arguments.detach:
        _detach()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        options = Options.load(arguments.directory, **json.loads(arguments.options))
        return run(
            arguments.directory, options, arguments.name, lambda: tell(arguments.ready_fd, None)
        )
    except LogstoreError as error:
        logger.error("%s", error)
        tell(arguments.ready_fd, error)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
