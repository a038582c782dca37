"""What the log means at one position: groups, checkpoints, open transactions, hidden stretches.

A catalog is the sum of all frames before that position which are not plain records. Footers carry
it, so that it can be had without reading the log from its start. Pure: nothing here touches a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from logstore import payloads
from logstore.errors import Corruption
from logstore.format import Kind
from logstore.payloads import EVERY_GROUP, CheckpointCommands, Interval
from logstore.segments.ranges import RangeSet

DEFAULT_GROUP = "default"
"""The name of group 0, which no frame ever names."""


@dataclass(slots=True)
class GroupState:
    """Hold what is known of one group: its name, "#" and its id if none was given; its last seq."""

    name: str
    last_seq: int = 0


@dataclass(slots=True)
class Transaction:
    """Say what a transaction has put into the log.

    Attributes:
        id: The LSN of its first part.
        seqs: The seqs of its parts, by group id.
        last_lsn: Its last part.
        part_count: How many parts there are.
        commit_lsn: Its commit frame; 0 while it is open.
    """

    id: int
    seqs: dict[int, RangeSet] = field(default_factory=dict)
    last_lsn: int = 0
    part_count: int = 0
    commit_lsn: int = 0


@dataclass(slots=True)
class Partial:
    """Say how far the commands of one record or transaction are done.

    Attributes:
        total: How many there are.
        done: The indexes, from 0, of those that are done.
        covered: The seqs that count as checkpointed once all are.
    """

    total: int
    done: RangeSet
    covered: RangeSet


@dataclass(slots=True)
class Catalog:
    """Hold what all frames before one position of the log say together. For one thread.

    Attributes:
        groups: By id; group 0 is always there.
        checkpoints: Seqs that nobody needs any more, by group id: checkpointed by their readers,
            of transactions that came to nothing, or never given to a record. No empty sets.
        told: The newest seq that checkpoint frames have named, by group id; what came to nothing
            by itself does not count here.
        partial: What is checkpointed in part, by group id and key.
        open: Transactions that have neither committed nor aborted, by id.
        committed: Those that began before the segment `begin_segment` was last called for, and
            have been committed since. Not cumulative: it is about that segment alone, or about
            those that `catalog_at` has read.
        hidden: The stretches that reverts have hidden, the newest last.
        newest_revert_lsn: Where the newest revert frame lies; 0 if there is none.
        epoch: Incarnation of the log that the open transactions belong to.
        segment_base_lsn: Where that segment begins.
    """

    groups: dict[int, GroupState] = field(default_factory=lambda: {0: GroupState(DEFAULT_GROUP)})
    checkpoints: dict[int, RangeSet] = field(default_factory=dict)
    told: dict[int, int] = field(default_factory=dict)
    partial: dict[tuple[int, int], Partial] = field(default_factory=dict)
    open: dict[int, Transaction] = field(default_factory=dict)
    committed: dict[int, Transaction] = field(default_factory=dict)
    hidden: tuple[Interval, ...] = ()
    newest_revert_lsn: int = 0
    epoch: int = field(default=0, compare=False)
    segment_base_lsn: int = field(default=0, compare=False)

    # Asking.

    def checkpointed(self, group: int) -> RangeSet:
        """Return the seqs of a group that nobody needs any more; the caller does not change it."""
        return self.checkpoints.get(group) or RangeSet()

    def is_hidden(self, lsn: int, group: int) -> bool:
        """Tell whether a revert has hidden the frame of this group at this position."""
        return any(one.hides(lsn, group) for one in self.hidden)

    def is_void(self, transaction: int, commit_lsn: int) -> bool:
        """Tell whether a commit frame at `commit_lsn` brings nothing to light.

        It does not if it is hidden itself, or if a revert lies between the first part and it.
        """
        reverts = [self.newest_revert_lsn, *(one.until_lsn for one in self.hidden)]
        if any(transaction < lsn < commit_lsn for lsn in reverts):
            return True
        whole = [one for one in self.hidden if one.scope == EVERY_GROUP]
        return any(one.from_lsn <= commit_lsn < one.until_lsn for one in whole)

    def hidden_from(self, start_lsn: int) -> tuple[Interval, ...]:
        """Return the hidden stretches that still matter in a log that starts at `start_lsn`.

        The next revert frame has to list them. One that ends at the start hides nothing any
        more, and no transaction that is still there can have been open across it.
        """
        return tuple(one for one in self.hidden if one.until_lsn > start_lsn)

    # Growing.

    def begin_segment(self, base_lsn: int, epoch: int) -> None:
        """Go on with the frames of the next segment; another epoch aborts what is open."""
        if epoch != self.epoch:
            self.abort_all()
        self.epoch = epoch
        self.segment_base_lsn = base_lsn
        self.committed = {}

    def abort_all(self) -> None:
        """Discard all open transactions: whoever began them can go on with none of them."""
        for transaction in list(self.open):
            self._abort(transaction)

    def apply(self, lsn: int, kind: int, group: int, seq: int, payload: bytes | memoryview) -> None:
        """Take in one frame; those of plain records only tell the last seq.

        Frames come in the order of the log, and every one but plain records must come.

        Raises:
            Corruption: Its payload makes no sense; nothing was changed.
        """
        if kind == Kind.TXN_PART:
            transaction = payloads.part_transaction(payload)
            if lsn == transaction:
                self.begin(transaction)
            self.apply_parts(transaction, group, (seq, seq), lsn)
        elif kind == Kind.TXN_COMMIT:
            self._commit(payloads.decode_commit(payload).transaction, lsn)
        elif kind == Kind.TXN_ABORT:
            self._abort(payloads.decode_txn_abort(payload))
        elif kind == Kind.CHECKPOINT:
            self._apply_checkpoint(group, payloads.decode_checkpoint(payload))
        elif kind == Kind.REVERT:
            self._revert(lsn, payloads.decode_revert(payload, lsn))
        elif kind == Kind.GROUP_NAME:
            self.name_group(group, payload)
        if seq:
            self.note_seq(group, seq)
            if kind == Kind.ABORT:
                self.checkpoint(group, [(seq, seq)])

    def note_seq(self, group: int, last_seq: int) -> None:
        """Remember that a group has come as far as this seq."""
        state = self._group(group)
        state.last_seq = max(state.last_seq, last_seq)

    def name_group(self, group: int, payload: bytes | memoryview) -> None:
        """Take in the payload of a GROUP_NAME frame; the newest name counts."""
        try:
            name = bytes(payload).decode()
        except UnicodeDecodeError as error:
            raise Corruption("a group's name is not UTF-8") from error
        self._group(group).name = name

    def checkpoint(self, group: int, ranges: Iterable[tuple[int, int]]) -> None:
        """Count some seqs of a group as not needed any more."""
        kept = self.checkpoints.setdefault(group, RangeSet())
        kept.update(ranges)
        if not kept:
            del self.checkpoints[group]

    def apply_told(self, group: int, ranges: Iterable[tuple[int, int]]) -> None:
        """Take in what checkpoint frames have named: closed ranges of a group, at least one."""
        self.checkpoint(group, ranges)
        newest = max(last for _, last in ranges)
        self.told[group] = max(self.told.get(group, 0), newest)

    def settle(self) -> None:
        """Forget what is checkpointed in part and has been checkpointed as a whole by now."""
        for key, partial in list(self.partial.items()):
            if not partial.covered.difference(self.checkpointed(key[0])):
                del self.partial[key]

    def begin(self, transaction: int) -> None:
        """Take a transaction for open: the frame at its id is its first part."""
        self.open[transaction] = Transaction(transaction)

    def apply_parts(
        self, transaction: int, group: int, seqs: tuple[int, int], last_lsn: int
    ) -> None:
        """Take in parts of a transaction in one group, from one seq to another, after `begin`."""
        one = self.open.get(transaction)
        first_seq, last_seq = seqs
        if last_seq:
            self.note_seq(group, last_seq)
        if one is None:
            # A revert, or the supervisor, has ended the transaction, and its owner did not know.
            self.checkpoint(group, [seqs] if first_seq else [])
            return
        if first_seq:
            one.seqs.setdefault(group, RangeSet()).add(first_seq, last_seq)
        one.last_lsn = max(one.last_lsn, last_lsn)
        one.part_count += last_seq - first_seq + 1

    def apply_part_set(self, transaction: int, group: int, seqs: RangeSet, last_lsn: int) -> None:
        """Take in many parts of a transaction in one group, after `begin`."""
        one = self.open.get(transaction)
        if one is None:
            self.checkpoint(group, seqs)
            return
        one.seqs.setdefault(group, RangeSet()).update(seqs)
        one.last_lsn = max(one.last_lsn, last_lsn)
        one.part_count += seqs.count

    def _group(self, group: int) -> GroupState:
        return self.groups.setdefault(group, GroupState(f"#{group}"))

    def _commit(self, transaction: int, lsn: int) -> None:
        one = self.open.pop(transaction, None)
        if one is not None and transaction < self.segment_base_lsn:
            one.commit_lsn = lsn
            self.committed[transaction] = one

    def _abort(self, transaction: int) -> None:
        one = self.open.pop(transaction, None)
        if one is not None:
            for group, seqs in one.seqs.items():
                self.checkpoint(group, seqs)

    def _apply_checkpoint(self, group: int, checkpoint: payloads.Checkpoint) -> None:
        if isinstance(checkpoint, CheckpointCommands):
            self._apply_commands(group, checkpoint)
        else:
            self.apply_told(group, checkpoint.ranges)

    def _apply_commands(self, group: int, said: CheckpointCommands) -> None:
        covered = RangeSet(said.covered)
        if not covered.difference(self.checkpointed(group)):
            return  # Said again after all was done: it must not begin anew.
        partial = self.partial.get((group, said.key))
        if partial is None:
            partial = Partial(said.total, RangeSet(), RangeSet())
            self.partial[group, said.key] = partial
        partial.total = said.total
        partial.done.update(said.done)
        partial.covered.update(covered)
        if partial.done.covers(0, partial.total - 1):
            self.apply_told(group, partial.covered)
            del self.partial[group, said.key]

    def _revert(self, lsn: int, intervals: tuple[Interval, ...]) -> None:
        self.hidden = intervals
        self.newest_revert_lsn = lsn
        # Whatever is open here has its first part before the revert and its commit behind it.
        self.abort_all()
