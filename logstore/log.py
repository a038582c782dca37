"""The log as a program uses it: open or attach, append, wait, read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from logstore import checkpoints, reverting, status
from logstore.checkpoints import Checkpoints
from logstore.consuming import Consuming
from logstore.errors import InvalidLSN, ReadOnly
from logstore.frames import Record
from logstore.group import Group
from logstore.lsn import Durability, Watermarks, require_durability, require_lsn
from logstore.pins import Holder, holders
from logstore.reads import Reads
from logstore.ring import groups
from logstore.ring._ring import LAYOUT, Waiter
from logstore.ring.layout import WATERMARKS, Level
from logstore.timeouts import require_timeout
from logstore.transaction import Transaction
from logstore.writing import LEVELS, Writer

if TYPE_CHECKING:
    from logstore.aio import AsyncLog


class Log(Consuming, Reads, Writer, Waiter):
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
        return Group(self, name, self._group_number(groups.require_group_name(name)))

    def _group_number(self, name: str | None) -> int:
        if name is None:
            return 0
        if name not in self._group_numbers:
            self._group_numbers[name] = groups.find_or_create(self._client, name)
        return self._group_numbers[name]

    def transaction(self, group: str | None = None) -> Transaction:
        """Begin a transaction whose parts go to `group`, if nothing else is said; see there.

        Nothing is written before its first part.

        Raises:
            ReadOnly, InvalidArgument, LimitReached: As `group`.
        """
        self._require_writable()
        self._group_number(group)
        return Transaction(self, group)

    # Waiting.

    def _wait_for(self, lsn: int, durability: Durability, timeout: float | None) -> None:
        """Wait where it is not plain that the record is durable; see `Waiter.wait`."""
        require_durability(durability)
        self._require_appended(lsn)
        self._ring.wait(LEVELS[durability], lsn, require_timeout(timeout))

    def sync(self, timeout: float | None = None) -> int:
        """Block until everything appended so far, by anybody, is durable; return up to which LSN.

        Raises:
            Timeout, DiskFull, SyncFailed, NotRunning, Closed: As `wait`.
        """
        head = self._ring.load(LAYOUT["head"])
        # A position inside of what lies there last: no record that may be reverted meanwhile.
        self._ring.wait(Level.SYNCED, head - 1, require_timeout(timeout))
        return head

    def _require_appended(self, lsn: int) -> None:
        if require_lsn(lsn) >= self._ring.load(LAYOUT["head"]):
            raise InvalidLSN("nothing is appended there yet", lsn=lsn)

    def _require_kept(self, lsn: int) -> None:
        if self._ring.load(LAYOUT["newest_revert_lsn"]):
            self._reading.require_kept(lsn)

    def _watermark(self, level: Level) -> int:
        return self._ring.load(WATERMARKS[level])

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
            Timeout, NotRunning, SyncFailed, Closed: It is not done yet, or will not be.
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
            LimitReached: Too many separate ranges are reverted.
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

    def pins(self) -> list[Holder]:
        """Return what keeps sealed segments from being dropped: one reason for each, oldest first.

        Disturbs nobody; reads the footers of all segments, so it is not for every second.

        Raises:
            Corruption, IncompatibleFormat, ReadFailed, PermissionDenied: They cannot be read.
        """
        return holders(self._client, self._reading.raw.directory)

    @property
    def aio(self) -> AsyncLog:
        """The same appends and waits for asyncio."""
        # Imported here: asyncio would make every program that does not use it start slower.
        from logstore.aio import AsyncLog

        self._require_open()
        if self._aio is None:
            self._aio = AsyncLog(self)
        return self._aio
