"""A whole log in the test's own process, step by step, on a disk that fails on order."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import logstore
from logstore import LogstoreError, Record
from logstore.options import Options
from logstore.ring import region
from logstore.ring._ring import LAYOUT
from logstore.ring.layout import COMMITTER, SYNCER, State
from logstore.workers import role
from logstore.workers.committer import make as make_committer
from logstore.workers.supervisor import Supervisor
from logstore.workers.syncer import Syncer
from tests.oracle import Oracle
from tests.programs.events import Reporter
from tests.programs.faulty_calls import MODULES, FaultyCalls
from tests.programs.writer import payload_of

SEGMENT: Final = 1 << 13
SETTLE_S: Final = 20.0


@contextmanager
def broken(faults: FaultyCalls) -> Iterator[FaultyCalls]:
    """Put a faulty `os` under the modules that touch files, for the block."""
    modules = [sys.modules[name] for name in MODULES]
    for module in modules:
        module.os = faults  # type: ignore[attr-defined]
    try:
        yield faults
    finally:
        for module in modules:
            module.os = os  # type: ignore[attr-defined]


@dataclass(slots=True)
class Scene:
    """One log, its roles, and one writer, whose records go to the oracle.

    Attributes:
        errors: What was raised by what, documented errors only; others are the test's end.
        synced_at_failure: How far the log was synced when a sync failed first in this epoch.
    """

    path: Path
    oracle: Oracle
    faults: FaultyCalls
    errors: list[tuple[str, LogstoreError]] = field(default_factory=list)
    synced_at_failure: int | None = None
    supervisor: Supervisor | None = None
    committer: role.Worker | None = None
    syncer: role.Worker | None = None
    log: logstore.Log | None = None
    issued: int = 0
    checkpointed: bool = False
    unacked: list[tuple[int, int]] = field(default_factory=list)
    pipe: int = -1

    def __post_init__(self) -> None:
        self.pipe = self.oracle.listen()
        self.faults.on_fire = self._note_failure

    def _note_failure(self, call: str, place: str) -> None:
        """Remember how far the log was synced if this may have lost frames that are not."""
        if call != "fdatasync" or not place.endswith(".seg") or self.supervisor is None:
            return
        later = [int(name[:20]) for name in os.listdir(self.path) if name.endswith(".seg")]  # noqa: PTH208
        end = min([base for base in later if base > int(place[:20])], default=self.written)
        if self.synced < min(end, self.written) and self.synced_at_failure is None:
            self.synced_at_failure = self.synced

    def attempt(self, what: str, call: Callable[[], object]) -> bool:
        """Do something that may fail, but only with a documented error; tell whether it did not."""
        try:
            call()
        except LogstoreError as error:
            self.errors.append((what, error))
            return False
        return True

    # Its roles.

    def start(self) -> bool:
        """Bring the log up; tell whether it is."""
        return (
            self.attempt("start", self._supervise)
            and self.start_workers()
            and self.attempt("attach", self._attach)
        )

    def _supervise(self) -> None:
        options = Options(segment_size=SEGMENT, ring_size=1 << 16, sync_interval_s=0.0)
        self.supervisor = Supervisor(self.path, options, self.path.name)
        self.synced_at_failure = None

    def _attach(self) -> None:
        self.log = logstore.attach(self.path)

    def start_workers(self) -> bool:
        """Start the workers that do not run, as the supervisor would; tell whether both do."""
        assert self.supervisor is not None
        if self.committer is None:
            self.attempt("committer", self._start_committer)
        if self.syncer is None:
            self.attempt("syncer", self._start_syncer)
        if self.state == State.STARTING:
            self.supervisor.client.ring.set_state(State.RUNNING)
        return self.committer is not None and self.syncer is not None

    def _start_committer(self) -> None:
        self.committer = role.enter(self.path, COMMITTER, make_committer)

    def _start_syncer(self) -> None:
        self.syncer = role.enter(self.path, SYNCER, Syncer)

    def end_workers(self) -> None:
        """Let the workers go as their deaths would."""
        for worker in (self.committer, self.syncer):
            if worker is not None:
                worker.close()
        self.committer = self.syncer = None

    def end(self) -> None:
        """Let go of everything, as if all processes had been killed at this moment."""
        if self.log is not None:
            self.log.close()
        self.end_workers()
        if self.supervisor is not None:
            release(self.supervisor)
        self.log = self.supervisor = None

    @property
    def state(self) -> State:
        """The log's state."""
        assert self.supervisor is not None
        return self.supervisor.client.state

    @property
    def synced(self) -> int:
        """How far the log is said to be durable; 0 before there is a log."""
        if self.supervisor is None:
            return 0
        return self.supervisor.client.ring.load(LAYOUT["synced"])

    @property
    def written(self) -> int:
        """How far the log is in the page cache."""
        assert self.supervisor is not None
        return self.supervisor.client.ring.load(LAYOUT["written"])

    @property
    def head(self) -> int:
        """Where the next record will be."""
        assert self.supervisor is not None
        return self.supervisor.client.ring.load(LAYOUT["head"])

    # Its work.

    def step(self) -> bool:
        """Let each role do one step; tell whether any of them had something to do."""
        worked = [w.step() for w in (self.committer, self.syncer) if w is not None]
        return any(worked)

    def settle(self, patience_s: float = SETTLE_S) -> None:
        """Step until nobody has anything to do any more, or nothing moves for a while."""
        deadline = time.monotonic() + patience_s
        while self.step() or self._busy():
            if time.monotonic() > deadline:
                return
        self.synced_is_sticky()

    def _busy(self) -> bool:
        """Give the committer's chores a moment; tell whether they are at work."""
        segments = getattr(self.committer, "_segments", None)
        if segments is None or segments.chores.pending == 0:
            return False
        segments.chores.await_progress(0.001)
        return bool(self.state != State.FAILED)

    def append(self, size: int) -> None:
        """Append one record at durability `ring`; it is acked further as the watermarks move."""
        assert self.log is not None
        log, report = self.log, Reporter(self.pipe, 1)
        payload = payload_of(1, self.issued + 1, size)
        report.issued(self.issued + 1, [payload])
        self.issued += 1
        if self.attempt("append", lambda: self._appended(log, report, payload)):
            self.unacked.append((self.issued, self._lsn))

    _lsn: int = 0

    def _appended(self, log: logstore.Log, report: Reporter, payload: bytes) -> None:
        self._lsn = log.append(payload, timeout=0.02)
        report.acked(self.issued, [self._lsn], "ring")

    def tell_synced(self) -> None:
        """Report as synced what the log says is."""
        report = Reporter(self.pipe, 1)
        for n, lsn in [one for one in self.unacked if one[1] < self.synced]:
            report.acked(n, [lsn], "synced")
        self.unacked = [one for one in self.unacked if one[1] >= self.synced]

    def synced_is_sticky(self) -> None:
        """7: after a failed sync nothing is acked as synced in that epoch."""
        if self.synced_at_failure is not None:
            assert self.synced <= self.synced_at_failure, "7: acked as synced after a failed sync"

    def read(self) -> list[Record]:
        """Read everything from the files and the ring."""
        assert self.log is not None
        return list(self.log.read(durability="ring"))

    def stop(self) -> bool:
        """Stop as the supervisor does; tell whether the log was closed cleanly."""
        assert self.supervisor is not None
        if self.state == State.FAILED or self.committer is None:
            return False
        self.supervisor.client.ring.set_state(State.DRAINING)
        deadline = time.monotonic() + 0.3
        while self.state == State.DRAINING and time.monotonic() < deadline:
            self.settle(0.1)
        if self.state != State.CLOSED:
            return False
        self.end()
        region.unlink(self.path.name)
        return True

    def clean_up(self) -> None:
        """Leave nothing behind."""
        self.faults.heal()
        self.end()
        os.close(self.pipe)
        self.oracle.until_all_told()
        region.unlink(self.path.name)


def release(supervisor: Supervisor) -> None:
    """Close what a supervisor holds, as its death would."""
    os.close(supervisor._watch.bell)
    os.close(supervisor._watch._listener)
    supervisor._liveness.close()
    supervisor.client.close()
    supervisor._lock.close()
    supervisor.directory.close()


def is_told(error: LogstoreError, number: int) -> bool:
    """Tell whether an error of the storage or the environment says its path and its errno."""
    return error.path is not None and error.errno == number
