"""The log as a program uses it: open or attach, append, wait, read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from logstore import checkpoints, reverting, status
from logstore.checkpoints import Checkpoints
from logstore.consuming import Consuming
from logstore.errors import InvalidLSN, NotFound, ReadOnly
from logstore.frames import Record
from logstore.group import Group
from logstore.lsn import Durability, Watermarks, require_durability, require_lsn
from logstore.reading import Selection
from logstore.ring import groups
from logstore.ring._ring import LAYOUT
from logstore.ring.layout import WATERMARKS, Level
from logstore.timeouts import require_timeout
from logstore.transaction import Transaction
from logstore.writing import LEVELS, Writer

if TYPE_CHECKING:
    from logstore.aio import AsyncLog


class Log(Consuming, Writer):
    """One process's handle on a running log.

    Threads may share it. A forked child may go on using it: its first call attaches anew. A
    pickled handle attaches by name where it is unpickled. Made by `open` and `attach`.

    Attributes:
        name: The log's name.
        path: Its data directory.
        read_only: Whether appending is refused.
    """

    # Groups and transactions.

    def group(self, name: str) -> Group:
        """Return the group of this name; make it if it is not there.

        All groups share the log's one order and one sync; each numbers its records 1, 2, 3 ...
        The name becomes part of the log, and as durable as what is appended later.

        Raises:
            InvalidArgument: The name is not 1 to 63 bytes of printable text.
            LimitReached: There are 1,024 groups already.
            ReadOnly: There is no such group, and this log was attached for reading.
        """
        return Group(self, name, self._group_number(name))

    def groups(self) -> list[str]:
        """Return the names of all groups, in the order in which they were made."""
        return [groups.name_of(self._ring, n) for n in range(groups.count(self._ring))]

    def _group_number(self, name: str | None) -> int:
        if name is None:
            return 0
        if name not in self._group_numbers:
            self._group_numbers[name] = groups.find_or_create(self._client, name)
        return self._group_numbers[name]

    def transaction(self, group: str | None = None) -> Transaction:
        """Begin a transaction whose parts go to `group`, if nothing else is said; see there.

        Nothing is written before its first part.
        """
        self._require_open()
        self._group_number(group)
        return Transaction(self, group)

    # Waiting.

    def wait(
        self, lsn: int, durability: Durability = "synced", timeout: float | None = None
    ) -> None:
        """Block until the record at `lsn`, and every one before it, is as durable as asked for.

        Raises:
            Timeout: Not yet; waiting again is right.
            InvalidLSN: No record can be there, or none was appended there yet.
            DiskFull: It cannot get there until there is room; it is safe in shared memory.
            SyncFailed, NotRunning, Closed: It will not get there in this run of the service.
        """
        if timeout is None and durability == "synced" and self._ring.passed(lsn):
            return  # who keeps many records in flight comes here for most of them
        require_durability(durability)
        self._require_appended(lsn)
        self._ring.wait(LEVELS[durability], lsn, require_timeout(timeout))

    def sync(self, timeout: float | None = None) -> int:
        """Block until everything appended so far, by anybody, is durable; return up to which LSN.

        Raises:
            Timeout, DiskFull, SyncFailed, NotRunning, Closed: As `wait`.
        """
        head = self._ring.load(LAYOUT["head"])
        self._ring.wait(Level.SYNCED, head - 8, require_timeout(timeout))
        return head

    def _require_appended(self, lsn: int) -> None:
        if require_lsn(lsn) >= self._ring.load(LAYOUT["head"]):
            raise InvalidLSN("nothing is appended there yet", lsn=lsn)

    def _watermark(self, level: Level) -> int:
        return self._ring.load(WATERMARKS[level])

    # Reading.

    def read(
        self,
        start: int | None = None,
        end: int | None = None,
        *,
        durability: Durability = "synced",
        group: str | None = None,
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
        first = None if start is None else require_lsn(start, name="start")
        last = None if end is None else require_lsn(end, name="end")
        what = Selection(self._known_group(group), uncommitted, reverted, copy)
        return self._reading.read(first, last, level, what)

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
        return self._reading.load(require_lsn(lsn))

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

    # Replay.

    def replay(
        self,
        group: str,
        apply: Callable[[Record], object],
        *,
        on_checkpoints: Callable[[Checkpoints], object] | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> int:
        """Call `apply` with every durable record of a group that is still needed; return how many.

        That is: committed, not reverted, not checkpointed; transactions whole and in the order of
        their commits. Memory does not grow with the log. If it ends half-way, start again.

        Args:
            group: The group's name.
            apply: Called with each record, in order.
            on_checkpoints: Called first, once, with what is checkpointed.
            progress: Called now and then with (bytes done, bytes in all).

        Raises:
            NotFound: There is no such group.
            Corruption: Stored bytes are damaged; says where.
        """
        self._known_group(group)
        return checkpoints.replay(
            self.group(group), apply, on_checkpoints=on_checkpoints, progress=progress
        )

    # Compaction.

    def compact(self, *, wait: bool = True, timeout: float | None = None) -> int:
        """Drop sealed segments that nobody needs any more; return how many bytes that gave back.

        A segment goes when all its records are checkpointed, reverted or aborted and no cursor,
        reader or open transaction needs it; `status` says what keeps the others.

        Args:
            wait: Whether to wait until the committer has done it.
            timeout: Seconds; None waits for ever.

        Raises:
            Timeout: It is not done yet; it will be.
            NotRunning, SyncFailed, Closed: The log does not go on.
        """
        self._require_writable()
        return self._client.ask_for_compaction(wait=wait, timeout_s=require_timeout(timeout))

    # Reverting.

    def revert(self, lsn: int) -> int:
        """Hide every record at or after `lsn` from every reader; durable on return.

        Live readers stop seeing them at once. What other writers append meanwhile is either before
        the revert and hidden, or after it and kept; transactions open across it are aborted. LSNs
        and seqs are not used again, and `read(reverted=True)` still shows what was hidden.

        Returns:
            The LSN of the revert: what is appended behind it is kept.

        Raises:
            InvalidLSN: `lsn` is no position, or lies in the future.
            NotFound: `lsn` is below the oldest record.
            InvalidArgument: A record at or after `lsn` is checkpointed.
            SyncFailed, DiskFull, NotRunning, Closed: It was not done, or is not durable.
        """
        self._require_writable()
        reverting.require_revertable(self._client, require_lsn(lsn))
        reverting.require_no_checkpoint_from(self._client, self._reading, lsn)
        return reverting.revert(self._client, self._reading, lsn)

    def _require_writable(self) -> None:
        self._require_open()
        if self.read_only:
            raise ReadOnly("this log was attached for reading; attach without read_only")

    # Looking at it.

    def watermarks(self) -> Watermarks:
        """Return how far the log is; never blocks."""
        self._require_open()
        return status.watermarks(self._ring)

    def status(self) -> status.Status:
        """Return everything there is to know about the running log; blocks nobody."""
        self._require_open()
        return status.sample(self._client)

    @property
    def aio(self) -> AsyncLog:
        """The same appends and waits for asyncio."""
        # Imported here: asyncio would make every program that does not use it start slower.
        from logstore.aio import AsyncLog

        self._require_open()
        if self._aio is None:
            self._aio = AsyncLog(self)
        return self._aio
