"""One attached process: its mapping, its lock, its entry in the client table, and what it does
when the ring cannot go on."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from logstore.errors import (
    Closed,
    InUse,
    LimitReached,
    LogstoreError,
    NotFound,
    NotRunning,
    PermissionDenied,
    RevertedError,
    RingFull,
    Timeout,
)
from logstore.ring import liveness, region
from logstore.ring._ring import LAYOUT, Ring, token
from logstore.ring.duties import Duties
from logstore.ring.failure import state_error, too_large
from logstore.ring.layout import (
    CLIENTS,
    COMMITTER,
    FIRST_CLIENT,
    SUPERVISOR,
    SYNCER,
    Level,
    State,
    Status,
    client_offset,
    index_of,
)
from logstore.ring.process import command_line, own_start_ticks
from logstore.ring.repair import Liveness, repair_guard
from logstore.timeouts import Countdown

_LOOK_AGAIN_S: Final = 0.001
SLICE_S: Final = 0.25
_STATES: Final = tuple(State)  # by number: calling the enum costs ten times as much


class Client:
    """Hold one process's part in a running log.

    Threads may share it; a forked child must not use it, only call `forsake`.

    Attributes:
        ring: The mapping; appends and waits go straight to it.
        identity: Which log this is.
        index: The entry in the client table, or -1 for a read-only attachment.
        duties: What only one process at a time may do; not there in a read-only attachment.
        on_reverts: Called with an LSN that was waited for when anything was reverted in this run;
            raises if that record was.
    """

    def __init__(
        self,
        name: str,
        *,
        read_only: bool = False,
        role: int | None = None,
        attached: tuple[Ring, region.Identity] | None = None,
        lock: liveness.LockFile | None = None,
    ) -> None:
        """Attach to the running log `name`, as a client or in a role.

        Raises:
            NotRunning: No service runs under this name.
            InUse: The role is held by another process, or all client entries are taken.
            PermissionDenied: The region or the lock file may not be opened.
        """
        self.ring, self.identity = attached or region.attach(name, read_only=read_only)
        self.index = -1
        self.read_only = read_only
        self.ring.hook = self._on_status
        self._lock: liveness.LockFile | None = None
        self._liveness: Liveness | None = None
        self._pins: dict[object, int] = {}
        self._pins_lock = threading.Lock()
        self.on_reverts: Callable[[int], None] | None = None
        if read_only:
            # Who may not even read the lock file cannot ask, and hears of a killed service never.
            with suppress(PermissionDenied, NotFound):
                self._liveness = Liveness(self.ring, self.identity.directory, read_only=True)
            return
        self._lock = lock or liveness.LockFile(self.identity.directory)
        self.duties = Duties(self._lock, self.look_around)
        self._liveness = Liveness(self.ring, self.identity.directory)
        try:
            self._take_entry(role)
        except BaseException:
            self.close()
            raise

    def _take_entry(self, role: int | None) -> None:
        assert self._lock is not None
        candidates = range(FIRST_CLIENT, CLIENTS) if role is None else (role,)
        for index in candidates:
            if self._lock.take(index):
                self.index = index
                break
        else:
            raise self._no_entry(role)
        generation = self.ring.load(client_offset(index, "generation")) + 1
        # A token of 0 would mean "nobody": skip the generation that the mask makes 0.
        generation += not generation & LAYOUT["GENERATION_MASK"]
        self.ring.store(client_offset(index, "pinned_lsn"), 0)
        self.ring.store(client_offset(index, "pid"), os.getpid())
        self.ring.store(client_offset(index, "start_ticks"), own_start_ticks())
        self.ring.store(client_offset(index, "attached_ns"), time.time_ns())
        self.ring.write_header(client_offset(index, "command"), command_line())
        self.ring.store(client_offset(index, "generation"), generation)
        self.ring.bind(token(index, generation))
        self.ring.knock()

    def _no_entry(self, role: int | None) -> LogstoreError:
        if role is None:
            return LimitReached(f"all {CLIENTS - FIRST_CLIENT} client entries of the log are taken")
        pid = self.ring.load(client_offset(role, "pid"))
        return InUse("the role is held by another process", pid=pid)

    @property
    def state(self) -> State:
        """The log's state now."""
        number = self.ring.load(LAYOUT["state"])
        return _STATES[number] if number < len(_STATES) else State.FAILED

    def service_alive(self) -> bool:
        """Tell whether somebody drains the ring, or will: supervisor, or committer and syncer."""
        if self._liveness is None:
            return self.state not in (State.CLOSED, State.FAILED)
        held = self._liveness.held
        return held(SUPERVISOR) or (held(COMMITTER) and held(SYNCER))

    def held(self, index: int) -> bool:
        """Tell whether somebody, be it this process, holds an entry of the client table."""
        return self._liveness is not None and self._liveness.held(index)

    def any_held(self, first: int, count: int = CLIENTS) -> bool:
        """Tell whether somebody holds any entry from `first` on."""
        return self._liveness is not None and self._liveness.any_held(first, count)

    def alive(self, owner: int) -> bool:
        """Tell whether the client that a token names lives; it must not be read-only."""
        return self._liveness is not None and self._liveness.alive(owner)

    def close(self) -> None:
        """Leave the log: wait for threads inside, then give the entry back. Idempotent."""
        self.ring.hook = _refuse  # Order: before threads inside meet it on their way out
        self.ring.close()
        if self._lock is not None:
            if self.index >= 0:
                self.ring.knock()
            self._lock.close()
        if self._liveness is not None:
            self._liveness.close()

    def forsake(self) -> None:
        """Drop the parent's descriptors in a forked child, so that its death can be seen.

        The mapping stays, and what the parent has reserved in it is left alone.
        """
        self.ring.forsake()
        if self._lock is not None:
            self._lock.close()
        if self._liveness is not None:
            self._liveness.close()

    def await_level(self, level: Level, lsn: int, timeout_s: float | None = None) -> bool:
        """Block until the watermark of `level` exceeds `lsn`, whatever becomes of that record.

        Returns:
            Whether it does; False after the time-out.

        Raises:
            NotRunning, SyncFailed, Closed: It will not get there in this run of the service.
        """
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            rest = SLICE_S if end is None else min(SLICE_S, max(0.0, end - time.monotonic()))
            if self.ring.poll(level, lsn, rest):
                return True
            if end is not None and time.monotonic() >= end:
                return False
            self.look_around()
            if self.state == State.FULL:
                time.sleep(SLICE_S)

    def pin(self, key: object, lsn: int | None) -> None:
        """Keep segments from `lsn` on while something reads them; None ends what `key` began."""
        if self.read_only:
            return
        with self._pins_lock:
            if lsn is None:
                self._pins.pop(key, None)
            else:
                self._pins[key] = lsn
            oldest = min(self._pins.values(), default=0)
            self.ring.store(client_offset(self.index, "pinned_lsn"), oldest)

    def ask_for_compaction(self, *, wait: bool, timeout_s: float | None) -> int:
        """Count the request up, wake the committer, and wait for its answer if asked to.

        Returns:
            The bytes dropped meanwhile, by whomever they were asked for.
        """
        ring = self.ring
        left = Countdown(timeout_s)
        before = ring.load(LAYOUT["compact_bytes"])
        number = ring.add(LAYOUT["compact_request"], 1)
        ring.wake_committer()
        while wait and ring.load(LAYOUT["compact_done"]) < number:
            rest = left()
            if rest is not None and rest <= 0:
                raise Timeout("compaction is not done yet; it goes on")
            time.sleep(_LOOK_AGAIN_S)
            self.look_around()
        return ring.load(LAYOUT["compact_bytes"]) - before

    # What the ring calls when it cannot go on.

    def _on_status(self, status: int, detail: int) -> None:
        if status == Status.CLOSED:
            _refuse()
        if status == Status.TOO_LARGE:
            raise too_large(f"{detail} bytes with headers", self.ring.largest_payload)
        if status == Status.REVERTED:
            raise RevertedError("a revert came between the transaction's begin and its commit")
        if status == Status.WRONG_STATE:
            self._wrong_state()
        if status == Status.TIMED_OUT:
            raise self._timed_out(detail)
        if status == Status.STALLED:
            self.look_around()
        if status == Status.REVERTS and self.on_reverts is not None:
            self.on_reverts(detail)

    def _wrong_state(self) -> None:
        """Raise what the state means; while doors are closed for a moment, wait for that moment."""
        if self.state == State.STARTING:
            time.sleep(0.001)
        elif self.state != State.RUNNING:
            raise self.state_error()

    def _timed_out(self, reason: int) -> LogstoreError:
        if reason == Status.NO_ROOM:
            if self.state == State.FULL:
                return self.state_error()
            return RingFull("the ring stayed full until the time-out; nothing was appended")
        if reason == Status.WRONG_STATE:
            return self.state_error()
        if reason == Status.BUSY:
            owner = self.ring.load(LAYOUT["owner"])
            pid = self.ring.load(client_offset(index_of(owner), "pid")) if owner else None
            busy = "the guard stayed busy until the time-out; nothing was appended"
            return RingFull(busy, pid=pid)
        return Timeout("the awaited position was not reached in time; what was appended stands")

    def look_around(self) -> None:
        """After a slice without progress: repair what the dead hold, and see whether to go on.

        Raises:
            Closed: This attachment was closed meanwhile.
            NotRunning: The service is gone.
            SyncFailed: The log has failed.
        """
        if self.ring.closed:
            _refuse()
        if self._liveness is not None and not self.read_only:
            repair_guard(self.ring, self._liveness)
        if not self.service_alive():
            raise NotRunning(
                "the service of this log is gone; what was appended is safe in shared memory "
                "and is recovered when it is started again (`logstore serve`)",
                path=self.identity.directory,
            )
        if self.state in (State.FAILED, State.CLOSED):
            raise self.state_error()

    def state_stops_appends(self) -> bool:
        """Tell whether nothing can be appended in the log's present state."""
        return self.state not in (State.RUNNING, State.STARTING, State.FULL)

    def state_error(self) -> LogstoreError:
        """Return the error that tells why the log does not go on."""
        return state_error(self.ring, self.identity.directory)


def _refuse(*_: int) -> None:
    raise Closed("this log object is closed; open or attach again")
