"""A named group: a sub-log with its own dense numbering, in the one order of the whole log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from logstore import checkpoints, reverting
from logstore.checkpoints import Checkpoints, Commands
from logstore.cursor import Cursor
from logstore.errors import Compacted, InvalidArgument, NotFound
from logstore.frames import Record
from logstore.lsn import Durability
from logstore.places import Start
from logstore.ring._ring import Ring
from logstore.ring.layout import Level, group_offset
from logstore.timeouts import require_timeout
from logstore.writing import Writer

if TYPE_CHECKING:
    from logstore.log import Log


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """Say how far a group is, in seqs.

    Attributes:
        name: Its name.
        id: Its number in the log's frames.
        appended: The newest seq given out.
        synced: The newest seq that is durable.
        checkpointed: All seqs up to here are checkpointed.
        pending: How many seqs above that are not checkpointed.
        oldest_needed_lsn: Segments below are not needed for this group.
    """

    name: str
    id: int
    appended: int
    synced: int
    checkpointed: int
    pending: int
    oldest_needed_lsn: int


class Group(Writer):
    """One group of a log; made by `Log.group`, and as shareable as the log is.

    Attributes:
        name: Its name.
        id: Its number in the log's frames.
        log: The log.
    """

    def __init__(self, log: Log, name: str, number: int) -> None:
        self.log = self._parent = log
        self.name = name
        self.id = self._group_id = number

    @property
    def _ring(self) -> Ring:  # type: ignore[override]
        # Always the log's: a forked child's first use attaches the log anew.
        return self.log._ring

    def cursor(
        self,
        name: str,
        *,
        start: Start = "oldest",
        durability: Durability = "synced",
        save_interval_s: float = 0.1,
    ) -> Cursor:
        """Open the durable cursor of this name on the group; otherwise as `Log.cursor`."""
        return self.log.cursor(
            name,
            group=self.name,
            start=start,
            durability=durability,
            save_interval_s=save_interval_s,
        )

    def __repr__(self) -> str:
        return f"<logstore.Group {self.name!r} of {self.log!r}>"

    # Reading.

    def read(
        self,
        start: int | None = None,
        end: int | None = None,
        *,
        durability: Durability = "synced",
    ) -> Iterator[Record]:
        """Return the group's records with seqs from `start` up to, not including, `end`.

        In the log's order: a transaction's records are where its commit is. Else as `Log.read`.

        Raises:
            InvalidArgument: A seq is below 1.
            NotWritten, Compacted: There is no record `start` (yet, any more).
        """
        low = 1 if start is None else _seq(start)
        first = None if start is None else self.log._reading.segment_of(self, low)
        try:
            records = self.log.read(first, durability=durability, group=self.name)
        except NotFound as error:
            raise Compacted(f"seq {low} was dropped just now", lsn=first) from error
        high = None if end is None else _seq(end)
        return (r for r in records if r.seq >= low and (high is None or r.seq < high))

    def load(self, seq: int) -> Record:
        """Return the record with this seq, published or more durable.

        Raises:
            InvalidArgument: A seq is a number from 1 on.
            NotWritten: It was never written, or its writer gave it up.
            Compacted: It was dropped because nothing needed it any more.
            RevertedError: It was reverted.
        """
        reader = self.log._reader
        found = None if reader is None else reader.raw.quick_seq(self.id, seq)
        return self.log._reading.load_seq(self, _seq(seq)) if found is None else found

    def follow(
        self,
        start: int | None = None,
        *,
        durability: Durability = "synced",
        timeout: float | None = None,
    ) -> Iterator[Record]:
        """Return the group's records as they come, from an LSN on; as `Log.follow`."""
        return self.log.follow(
            start, durability=durability, timeout=require_timeout(timeout), group=self.name
        )

    # Checkpoints and reverting.

    def checkpoint(
        self, *, up_to: int | None = None, ranges: Iterable[tuple[int, int]] = ()
    ) -> int:
        """Say that records of this group are not needed any more; return the frame's LSN.

        They stay readable until compaction drops their segments. The ranges are closed, may come
        in any order, overlap and touch; what was said before stays said. As durable as any
        append: wait for the LSN to have it on disk.

        Args:
            up_to: All seqs up to this one.
            ranges: Pairs of first and last seq.

        Raises:
            InvalidArgument: Nothing is said, or a range is backwards or beyond the group's end.
        """
        wanted = [*ranges]
        if up_to is not None:
            wanted.append((1, up_to))
        if not wanted:
            raise InvalidArgument("a checkpoint needs up_to or ranges")
        self.log._require_writable()
        merged = checkpoints.require_ranges(self, wanted)
        return checkpoints.checkpoint_ranges(self, merged)

    def checkpoint_commands(self, txn: Commands, done: Iterable[int], total: int) -> int:
        """Say which commands of a record or of a transaction are done; return the frame's LSN.

        Once all of its `total` commands are, it counts as checkpointed. May be said bit by bit.

        Args:
            txn: A record or its seq; a committed transaction; or the records of one.
            done: Indexes of commands, from 0.
            total: How many commands there are.

        Raises:
            InvalidArgument: No index is given, one is out of range, or nothing of `txn` is in this
                group.
        """
        self.log._require_writable()
        return checkpoints.checkpoint_commands(self, txn, done, total)

    def checkpoints(self) -> Checkpoints:
        """Return what is checkpointed so far; reads the log's newest files."""
        return checkpoints.state_of(self, self.log._reading.catalog(Level.WRITTEN))

    def revert(self, seq: int) -> int:
        """Hide this group's records from `seq` on; durable on return; otherwise as `Log.revert`.

        Raises:
            InvalidArgument: A seq is a number from 1 on, or a later one is checkpointed.
            NotWritten, Compacted: There is no such record.
        """
        self.log._require_writable()
        reading = self.log._reading
        catalog = reverting.catalog_for_revert(self.log._client, reading)
        reverting.require_not_checkpointed(catalog, self.id, self.name, _seq(seq))
        return reverting.revert(self.log._client, reading, reading.lsn_of(self, seq), self.id)

    def status(self) -> GroupStatus:
        """Return how far the group is; reads the log's newest files, blocks nobody."""
        done = self.log._reading.catalog(Level.WRITTEN).checkpointed(self.id)
        appended = self._ring.load(group_offset(self.id, "seq"))
        return GroupStatus(
            name=self.name,
            id=self.id,
            appended=appended,
            synced=self.log._reading.synced_seq(self),
            checkpointed=done.prefix_end,
            pending=appended - done.clipped(1, appended).count,
            oldest_needed_lsn=self.log._reading.oldest_needed(self, done),
        )


def _seq(seq: object) -> int:
    if isinstance(seq, bool) or not isinstance(seq, int) or seq < 1:
        raise InvalidArgument(f"a seq is a number from 1 on, not {seq!r}")
    return seq
