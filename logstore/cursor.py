"""A durable cursor: a consumer's named place in the log, which survives restarts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from logstore.errors import (
    Closed,
    InvalidArgument,
    NotFound,
    NotRunning,
    SyncFailed,
    Timeout,
)
from logstore.frames import Record
from logstore.handle import Handle
from logstore.holding import Hold
from logstore.lsn import require_lsn
from logstore.places import Start, require_readable
from logstore.progress import Progress
from logstore.ring import groups
from logstore.ring.layout import Level
from logstore.segments.cursors import require_cursor_name
from logstore.timeouts import Countdown, require_timeout
from logstore.visible import Hidden, Piece, View

_SKIP_INTERVAL_S: Final = 1.0
"""A position that moved over records of other groups alone is saved at most so often."""
_CLOSE_S: Final = 1.0


class Cursor:
    """Read on from where this consumer was, also after a restart. Made by `Log.cursor`.

    A loop over it delivers records like `Log.follow`, from the saved position on, and waits for
    more. `advance` says up to where the consumer is done; what it is not done with comes again
    after a restart, so every record is delivered *at least once*. A transaction's records come
    together; advancing past some of them only resumes before all of them.

    What is durable: `advance` moves the position in memory. The position is on disk when `save`,
    `move` or `close` return. Meanwhile it is saved by an `advance`, or by the loop while it waits,
    once `save_interval_s` have passed since the last time; so a consumer that is killed gets again
    what it advanced past in about that time. A position is never saved before the records below it
    are synced, so power loss cannot make a cursor skip any.

    One process at a time holds a cursor; the kernel frees it when that process ends, however it
    does. While a cursor exists, held or not, compaction keeps what it has not read.

    For one thread; a forked child has to open cursors of its own.

    Attributes:
        name: What it is called.
        group: The group that it reads; None for all.
    """

    def __init__(
        self,
        log: Handle,
        name: str,
        group: str | None,
        start: Start,
        level: Level,
        save_interval_s: float,
    ) -> None:
        self._closed = True  # until there is something to close
        self.name = require_cursor_name(name)
        self.group = group
        self._shown = f"the cursor {name!r}"
        self._log = log
        self._level = level
        self._pid = os.getpid()
        self._loop = self._moves = 0
        self._hold = Hold(log, name, save_interval_s)
        self._closed = False
        try:
            self._progress = Progress(self._saved_position(start))
        except BaseException:
            self._drop()
            raise
        log._cursors.add(self)

    def _saved_position(self, start: Start) -> int:
        saved = self._hold.load()
        if saved is None:
            return self._first_position(start)
        if self.group not in (None, saved.group):
            reads = "all groups" if saved.group is None else f"the group {saved.group!r}"
            raise InvalidArgument(f"the cursor {self.name!r} reads {reads}, not {self.group!r}")
        self.group = saved.group
        return saved.position_lsn

    def _first_position(self, start: Start) -> int:
        ring = self._log._client.ring
        if self.group is not None and groups.find(ring, self.group) is None:
            raise NotFound(f"there is no group {self.group!r}; `Log.group` makes one")
        return self._hold.place(self.group, start)

    # Reading.

    def __iter__(self) -> Iterator[Record]:
        """Iterate for ever; see `records`."""
        return self.records()

    def records(self, timeout: float | None = None) -> Iterator[Record]:
        """Return the records from the position on as they come; blocks between them.

        Records that were delivered before and not advanced past come again. A new loop ends
        the one before; one that is under way goes on elsewhere after `move`.

        Args:
            timeout: End after so many seconds without a record; None never ends.

        Raises:
            Compacted: What comes next was deleted before this cursor has read it.
            InvalidLSN: The position is beyond the log's end; the directory is an older copy.
            Corruption: Stored bytes are damaged; says where.
            DiskFull, PermissionDenied: The position could not be saved; it is tried again.
            SyncFailed, NotRunning, Closed: The log does not go on.
        """
        require_timeout(timeout)
        self._require_mine()
        self._loop += 1
        return self._deliver(self._loop, timeout)

    def _deliver(self, loop: int, timeout_s: float | None) -> Iterator[Record]:
        while loop == self._loop:
            moves = self._moves
            for record in self._run(timeout_s):
                yield record
                self._require_mine()
                if (loop, moves) != (self._loop, self._moves):
                    break
            else:
                return

    def _run(self, timeout_s: float | None) -> Iterator[Record]:
        """Deliver from the position on until nothing came for so long."""
        raw = self._log._reading.raw
        view = View(raw, Hidden(raw), group=self.group)
        at = self._progress.position_lsn
        progress = self._progress = Progress(at)
        require_readable(self._log, at, self._shown)
        left = Countdown(timeout_s)
        while self._await(at, left):
            limit = raw.limit(self._level)
            for piece in self._pieces(view, at, limit):
                for record in view.one_by_one(piece):
                    progress.deliver(record, piece)
                    yield record
                if piece.records:
                    left = Countdown(timeout_s)
                self._passed(progress, piece.resume_lsn)
            self._passed(progress, limit)
            at = limit

    def _passed(self, progress: Progress, lsn: int) -> None:
        if progress.finish(lsn):
            self._hold.moved(_SKIP_INTERVAL_S)

    def _pieces(self, view: View, at: int, limit: int) -> Iterator[Piece]:
        try:
            yield from view.pieces(at, limit)
        except NotFound:
            require_readable(self._log, self.position, self._shown)
            raise

    def _await(self, lsn: int, left: Countdown) -> bool:
        """Wait for something to read at `lsn`; save the position meanwhile when it is time."""
        while True:
            rests = [rest for rest in (left(), self._hold.until_due()) if rest is not None]
            if self._log._client.await_level(self._level, lsn, min(rests, default=None)):
                return True
            self._hold.save_if_due(self.group, self.position)
            if left() == 0.0:
                return False

    # The position.

    @property
    def position(self) -> int:
        """Where reading resumes: what became visible below is done with. On disk after `save`."""
        return self._progress.position_lsn

    def lag(self) -> int:
        """Return how many bytes of log, of all groups, lie between the position and the end.

        The end is that of what is as durable as this cursor reads; 0 means that it is there.
        """
        self._require_mine()
        return max(0, self._log._reading.raw.limit(self._level) - self.position)

    def advance(self, record: Record) -> None:
        """Be done with a record and all that were delivered before it.

        Not durable on return; see the class. It never goes back: earlier records change nothing.
        Blocks on the disk when it is time to save.

        Raises:
            InvalidArgument: The record was not delivered by the newest loop.
            DiskFull, PermissionDenied, SyncFailed: The position could not be saved. It has moved,
                and it is tried again.
        """
        self._require_mine()
        if self._progress.advance(record):
            self._hold.moved()
        self._hold.save_if_due(self.group, self.position)

    def save(self, timeout: float | None = None) -> None:
        """Make the position durable; blocks on the disk, and until the records below are synced.

        Raises:
            Timeout: They are not synced yet.
            DiskFull, PermissionDenied, SyncFailed, NotRunning: It was not saved.
        """
        self._require_mine()
        require_timeout(timeout)
        if self._hold.unsaved:
            self._hold.save(self.group, self.position, timeout)

    def move(self, lsn: int) -> None:
        """Go on at another place, forward or back; durable on return.

        Blocks on the disk, and while a compaction is under way.

        Raises:
            InvalidLSN: No record begins there, or none was appended there yet.
            NotFound: It is older than the oldest record.
            DiskFull, PermissionDenied, SyncFailed, NotRunning: As `save`; it has not moved.
        """
        self._require_mine()
        self._hold.place(self.group, require_lsn(lsn))
        self._progress = Progress(lsn)
        self._moves += 1

    # Its end.

    def close(self) -> None:
        """Save the position and let others have the cursor; idempotent.

        If the log does not go on, or does not get the records below to disk within a second, the
        position stays where it was saved last, and what follows comes again.

        Raises:
            DiskFull, PermissionDenied: The position could not be saved; the cursor is closed.
        """
        if self._closed or os.getpid() != self._pid:
            self._drop()
            return
        try:
            with suppress(Timeout, NotRunning, SyncFailed, Closed):
                self.save(_CLOSE_S)
        finally:
            self._drop()

    def _drop(self) -> None:
        if not self._closed:
            self._closed = True
            self._log._cursors.discard(self)
            self._hold.close()

    def _require_mine(self) -> None:
        if os.getpid() != self._pid:
            raise InvalidArgument("this cursor belongs to the parent process; open one here")
        if self._closed:
            raise Closed("this cursor is closed; open it again")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self._drop()

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a cursor cannot be pickled; open it in the other process")

    def __repr__(self) -> str:
        closed = ", closed" if self._closed else ""
        return f"<logstore.Cursor {self.name!r} at LSN {self.position}{closed}>"
