"""The supervisor's eyes: worker processes, pidfds of clients, and a doorbell."""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from logstore.ring._ring import LAYOUT, Ring
from logstore.ring.client import Client
from logstore.ring.layout import CLIENTS, COMMITTER, ROLES, SYNCER, State, client_offset
from logstore.ring.process import start_ticks
from logstore.ring.repair import Liveness

BACKOFF_S: Final = 0.05
BACKOFF_MOST_S: Final = 5.0
QUICK_DEATH_S: Final = 2.0
_PROGRESS: Final = {COMMITTER: "written", SYNCER: "synced"}

logger = logging.getLogger("logstore.supervisor")


class Child:
    """One worker: the process that has the role, started by us or found running."""

    def __init__(self, role: int, path: Path, client: Client) -> None:
        self.role = role
        self._path = path
        self._client = client
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0
        self._quick_deaths = 0
        self._not_before_s = 0.0
        self._began_at = 0

    def start_if_free(self, liveness: Liveness) -> None:
        """Start the worker unless somebody has the role already."""
        if not liveness.held(self.role):
            self._start()

    def _start(self) -> None:
        module = f"logstore.workers.{ROLES[self.role]}"
        self._started_s = time.monotonic()
        self._began_at = self._done()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, str(self._path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        logger.info("started %s, pid %d", ROLES[self.role], self._process.pid)

    def restart_if_dead(self, liveness: Liveness) -> None:
        """Start the worker anew if it is gone, and count it. Backs off from quick deaths."""
        if self._client.state == State.CLOSED or self._alive(liveness):
            return
        if time.monotonic() < self._not_before_s:
            return
        self._start()
        ring, restarts = self._client.ring, LAYOUT[f"{ROLES[self.role]}_restarts"]
        ring.store(restarts, ring.load(restarts) + 1)

    def _alive(self, liveness: Liveness) -> bool:
        if self._process is None:
            return liveness.held(self.role)
        code = self._process.poll()
        if code is None:
            return True
        if self._process.returncode is not None and self._started_s:
            self._mourn(code)
        return False

    def _mourn(self, code: int) -> None:
        """Log a death once, and decide how soon the next life begins."""
        now = time.monotonic()
        why = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        logger.warning("%s, pid %d, ended: %s", ROLES[self.role], self._process_id(), why)
        quick = now - self._started_s < QUICK_DEATH_S and self._done() == self._began_at
        self._quick_deaths = self._quick_deaths + 1 if quick else 0
        # The first deaths are mended at once, and those of a worker that had got to work; one that
        # cannot live is not hammered.
        delay = BACKOFF_S * 2 ** (self._quick_deaths - 3) if self._quick_deaths > 2 else 0.0
        self._not_before_s = now + min(delay, BACKOFF_MOST_S)
        self._started_s = 0.0

    def _done(self) -> int:
        """Return how far the work of this role is."""
        return self._client.ring.load(LAYOUT[_PROGRESS[self.role]])

    def _process_id(self) -> int:
        return self._process.pid if self._process is not None else 0

    def end(self, *, kill: bool) -> None:
        """Wait for the worker's own end, or kill it; only a process that we started."""
        if self._process is None:
            return
        if kill:
            self._process.kill()
        try:
            self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            logger.error("%s does not end; killing it", ROLES[self.role])
            self._process.kill()
            self._process.wait()


class Watch:
    """Sleep until a process dies, the client table changes, a signal arrives, or time is up."""

    def __init__(self, ring: Ring, liveness: Liveness) -> None:
        self._ring = ring
        self._liveness = liveness
        self._poll = select.poll()
        self._pidfds: dict[int, tuple[int, int]] = {}  # index -> (generation, pidfd)
        self._deaths = 0
        self._listener, self.bell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poll.register(self._listener, select.POLLIN)
        self._ending = False
        self._thread = threading.Thread(target=self._listen, name="doorbell", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._see_newcomers()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ending = True
        self._ring.knock()
        self._thread.join()
        for _, pidfd in self._pidfds.values():
            os.close(pidfd)
        os.close(self._listener)
        os.close(self.bell)

    def _listen(self) -> None:
        """Turn knocks on the region into bytes in the pipe, where poll() sees them."""
        seen = 0
        while not self._ending:
            now = self._ring.await_knock(seen, 1.0)
            if now != seen:
                seen = now
                try:
                    os.write(self.bell, b"k")
                except BlockingIOError:
                    continue  # It rings already.

    def wait(self, timeout_s: float) -> None:
        """Sleep, and take note of what happened."""
        events = self._poll.poll(max(timeout_s * 1000, 1))
        dead = {fd for fd, _ in events if fd != self._listener}
        if len(dead) < len(events):
            os.read(self._listener, 4096)
            self._see_newcomers()
        for index in [i for i, (_, pidfd) in self._pidfds.items() if pidfd in dead]:
            self._forget(index)
            self._deaths += 1

    def someone_died(self) -> bool:
        """Tell whether a watched process died since the last call."""
        deaths, self._deaths = self._deaths, 0
        return deaths > 0

    def _forget(self, index: int) -> None:
        _, pidfd = self._pidfds.pop(index)
        self._poll.unregister(pidfd)
        os.close(pidfd)

    def _see_newcomers(self) -> None:
        """Watch every process in the client table that is not watched yet."""
        for index in range(COMMITTER, CLIENTS):
            generation = self._ring.load(client_offset(index, "generation"))
            if generation == 0 or self._pidfds.get(index, (0, 0))[0] == generation:
                continue
            if index in self._pidfds:
                self._forget(index)
            if self._liveness.held(index):
                self._follow(index, generation)

    def _follow(self, index: int, generation: int) -> None:
        pid = self._ring.load(client_offset(index, "pid"))
        ticks = self._ring.load(client_offset(index, "start_ticks"))
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return  # Gone already, or in another pid namespace: its lock will tell.
        if start_ticks(pid) != ticks:
            os.close(pidfd)
            return
        self._pidfds[index] = (generation, pidfd)
        self._poll.register(pidfd, select.POLLIN)
