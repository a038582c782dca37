"""What a log offers to readers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from logstore.errors import InvalidArgument, NotFound
from logstore.frames import Record
from logstore.handle import Handle
from logstore.lsn import Durability, require_durability, require_lsn
from logstore.reading import Selection
from logstore.ring import groups
from logstore.timeouts import require_timeout
from logstore.writing import LEVELS


class Reads(Handle):
    """The reading calls of the log behind a handle."""

    def read(
        self,
        start: int | None = None,
        end: int | None = None,
        *,
        durability: Durability = "synced",
        group: str | None = None,
        since: datetime | None = None,
        reverse: bool = False,
        uncommitted: bool = False,
        reverted: bool = False,
        copy: bool = True,
    ) -> Iterator[Record]:
        """Return the records from `start` up to `end`, oldest first.

        A transaction's records come together, where its commit is. Ends where the log ended, at the
        given durability, when this was called. Memory does not grow with the log. Each call makes
        an iterator of its own, for one thread.

        Args:
            start: LSN of a record; None is the oldest record there is.
            end: Records at and after this LSN are left out; None is the end.
            durability: Read only what is at least as durable.
            group: Only records of this group.
            since: Begin at this time instead of `start`, as `lsn_at` finds it.
            reverse: The newest first, a transaction's records too.
            uncommitted: Also parts of transactions not committed, or not yet; each where it lies,
                marked by its kind.
            reverted: Also what was reverted.
            copy: Whether payloads are bytes of their own; otherwise they are views that keep some
                hundred KiB around them in memory.

        Raises:
            InvalidLSN: `start` is not a record's LSN.
            NotFound: `start` is below the oldest record, or there is no such group.
            Corruption: While iterating: stored bytes are damaged; says where.
        """
        level = LEVELS[require_durability(durability)]
        if since is not None and start is not None:
            raise InvalidArgument("give start or since, not both")
        start = start if since is None else self.lsn_at(since)
        first = None if start is None else require_lsn(start, name="start")
        last = None if end is None else require_lsn(end, name="end")
        what = Selection(self._known_group(group), uncommitted, reverted, copy)
        read = self._reading.read_back if reverse else self._reading.read
        return read(first, last, level, what)

    def lsn_at(self, time: datetime) -> int:
        """Return an LSN before which nothing was appended at or after a time.

        Found by the clock readings in the log, of which there are ten a second while records
        flow: a little that is older may follow. In O(log segments).

        Args:
            time: With a time zone; without one it is local time.

        Raises:
            InvalidArgument: It is no datetime.
        """
        if not isinstance(time, datetime):
            raise InvalidArgument(f"time must be a datetime, not {time!r}")
        return self._reading.lsn_at(round(time.timestamp() * 1e9))

    def _known_group(self, name: str | None) -> str | None:
        if name is not None and groups.find(self._ring, name) is None:
            raise NotFound(f"there is no group {name!r}; there are {', '.join(self.groups())}")
        return name

    def load(self, lsn: int) -> Record:
        """Return the record at `lsn`, published or more durable.

        A part of a transaction is returned whatever became of the transaction.

        Raises:
            InvalidLSN: No record begins there, or none was appended there yet.
            NotFound: It is older than the oldest record.
            RevertedError: It was reverted.
            Corruption: Its bytes are damaged.
        """
        reader = self._reader
        found = None if reader is None else reader.raw.quick(lsn)
        return self._reading.load(require_lsn(lsn)) if found is None else found

    def follow(
        self,
        start: int | None = None,
        *,
        durability: Durability = "synced",
        timeout: float | None = None,
        group: str | None = None,
    ) -> Iterator[Record]:
        """Return records as they come, for ever; blocks between them.

        Args:
            start: LSN of a record; None begins with the next record appended.
            durability: Deliver a record once it is this durable.
            timeout: End after so many seconds without a record; None never ends.
            group: Only records of this group.

        Raises:
            InvalidLSN, NotFound, Corruption: As `read`.
            SyncFailed, NotRunning, Closed: The log does not go on.
        """
        level = LEVELS[require_durability(durability)]
        first = None if start is None else require_lsn(start, name="start")
        what = Selection(self._known_group(group))
        return self._reading.follow(first, level, require_timeout(timeout), what)

    def groups(self) -> list[str]:
        """Return the names of all groups, in the order in which they were made."""
        return [groups.name_of(self._ring, n) for n in range(groups.count(self._ring))]
