"""A write-ahead log driver for a state machine: requests become records, records become state.

One process applies; any number of processes send requests. When the applying process dies, the next
one that waits for an answer takes over: it restores the snapshot, replays, and goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

from logstore.engines import snapshots
from logstore.engines.snapshots import Snapshot
from logstore.errors import InUse, Timeout
from logstore.frames import Record
from logstore.ring.layout import Level, group_offset
from logstore.ring.liveness import APPLIER
from logstore.segments.ranges import RangeSet
from logstore.timeouts import Countdown
from logstore.visible import Piece

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from logstore.log import Log

LOOK_AGAIN_S: Final = 0.001
ANSWERS_KEPT: Final = 1 << 16


class StateMachine(Protocol):
    """What an application gives: how a record changes the state, and the state as bytes."""

    def apply(self, record: Record) -> object:
        """Change the state by one record and return the answer; called in the log's order.

        Must depend on the state and the record alone: it is called again after a restart.
        """

    def snapshot(self) -> bytes:
        """Return the state."""

    def restore(self, state: bytes) -> None:
        """Take on a state that `snapshot` returned."""


class Driver:
    """Keep a state machine by a group of a log. Threads may share it.

    Args:
        log: The log; stays the caller's.
        machine: The state machine.
        group: The group that holds the requests.
        snapshot_every: After so many records a snapshot is made, the records in it are
            checkpointed, and compaction is asked for.
    """

    def __init__(
        self,
        log: Log,
        machine: StateMachine,
        *,
        group: str = "state",
        snapshot_every: int = 100_000,
    ) -> None:
        self._log = log
        self._machine = machine
        self._group = log.group(group)
        self._snapshot_every = snapshot_every
        self._applying = threading.Lock()
        self._answers: dict[int, object] = {}
        self._applied = RangeSet()
        self._since_snapshot = 0
        self._pieces: Iterator[Piece] | None = None
        self._resume_lsn = 0
        self.try_to_apply()

    # Who applies.

    @property
    def applies(self) -> bool:
        """Whether this process is the one that applies."""
        return self._pieces is not None

    def try_to_apply(self) -> bool:
        """Become the applying process if there is none; tell whether this one is it now.

        Restores the snapshot and applies what came after it, which may take a while.
        """
        with self._applying:
            if self._pieces is not None:
                return True
            if not self._log._client.duties.take(APPLIER + self._group.id):
                return False
            self._catch_up()
            return True

    def _catch_up(self) -> None:
        reading = self._log._reading
        found = snapshots.load(reading.raw.directory, self._group.name)
        if found is not None:
            self._machine.restore(found.state)
            self._applied = found.applied.copy()
        start = reading.oldest_needed(self._group, self._applied)
        self._resume_lsn = start
        self._pieces = reading.pieces(start, Level.SYNCED, self._group.name)
        self._apply_ready()

    # Requests.

    def submit(self, payload: ReadableBuffer, *, timeout: float | None = None) -> int:
        """Append a request and return its LSN; `answer` waits for what comes of it.

        On return the request survives the death of any process. Many may be on their way.

        Raises:
            RingFull, RecordTooLarge, NotRunning, Closed: As `Log.append`.
        """
        return self._group.append(payload, timeout=timeout)

    def answer(self, lsn: int, *, timeout: float | None = None) -> object:
        """Block until a request is durable and applied; return what the machine answered.

        Only the process that applies has answers: in another one it is None, and says that the
        request is applied. An answer is given once, and kept for the last 65,536 requests.

        Raises:
            Timeout: Not yet; asking again is right.
            RevertedError: The request was reverted.
            SyncFailed, NotRunning, Closed: It will not be applied in this run of the service.
        """
        left = Countdown(timeout)
        self._log.wait(lsn, timeout=left())
        while self.visible_lsn <= lsn:
            if not self.try_to_apply():
                rest = left()
                if rest is not None and rest <= 0:
                    raise Timeout("the request is durable and not applied yet", lsn=lsn)
                time.sleep(LOOK_AGAIN_S)  # another process applies; it says so by visible_lsn
            else:
                with self._applying:
                    self._apply_ready()
        return self._answers.pop(lsn, None)

    def on_request(self, payload: ReadableBuffer, *, timeout: float | None = None) -> object:
        """Append a request, make it durable, apply it in the log's order, and return the answer."""
        left = Countdown(timeout)
        return self.answer(self.submit(payload, timeout=left()), timeout=left())

    @property
    def visible_lsn(self) -> int:
        """All requests below this LSN are applied, by whichever process applies."""
        return self._log._ring.load(group_offset(self._group.id, "visible_lsn"))

    # Applying.

    def _apply_ready(self) -> None:
        """Apply everything that is durable. The lock is held: whoever has it works for all."""
        assert self._pieces is not None
        for piece in self._pieces:
            if not piece.records and piece.resume_lsn <= self._resume_lsn:
                break  # nothing more is durable now
            for record in piece.records:
                if record.seq not in self._applied:
                    self._apply(record)
            self._resume_lsn = piece.resume_lsn
            self._publish()
        if self._since_snapshot >= self._snapshot_every:
            self._snapshot()

    def _apply(self, record: Record) -> None:
        self._answers[record.lsn] = self._machine.apply(record)
        self._applied.add(record.seq, record.seq)
        self._since_snapshot += 1
        if len(self._answers) > ANSWERS_KEPT:
            del self._answers[next(iter(self._answers))]

    def _publish(self) -> None:
        offset = group_offset(self._group.id, "visible_lsn")
        self._log._ring.store(offset, self._resume_lsn)

    def take_snapshot(self) -> None:
        """Make a snapshot now, checkpoint the records in it, and ask for compaction.

        Raises:
            InUse: Another process applies.
        """
        if not self.try_to_apply():
            raise InUse("another process applies this group; it makes the snapshots")
        with self._applying:
            self._apply_ready()
            self._snapshot()

    def _snapshot(self) -> None:
        made = Snapshot(self._resume_lsn, self._applied, self._machine.snapshot())
        directory = self._log._reading.raw.directory
        snapshots.save(directory, self._group.name, made)
        # Crash: before this line the records in the snapshot are kept a little longer.
        self._group.checkpoint(ranges=list(self._applied))
        self._log.compact(wait=False)
        self._since_snapshot = 0

    def close(self) -> None:
        """Stop applying, so that another process may; makes a snapshot first. Idempotent."""
        with self._applying:
            if self._pieces is not None:
                self._apply_ready()
                self._snapshot()
                self._pieces = None
                self._log._client.duties.give_back(APPLIER + self._group.id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
