"""What a log should hold: lists, dicts and integers, and nothing clever.

Everything that happens to the log is told to the model in the order in which it happened; it knows
LSNs only by being told, and seqs by counting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from logstore.frames import DATA, TXN_PART
from tests.programs.rows import Row


@dataclass(slots=True)
class Entry:
    """A record, or a transaction's part."""

    row: Row
    hidden: bool = False
    dead: bool = False
    checkpointed: bool = False
    gone: bool = False
    whole: Transaction | None = None

    @property
    def needed(self) -> bool:
        """Tell whether somebody may want it."""
        return not (self.hidden or self.dead or self.checkpointed)

    @property
    def seen_lsn(self) -> int:
        """Where readers see it: a part at its commit, if that is there."""
        return self.row.lsn if self.whole is None else self.whole.commit_lsn or 0


@dataclass(slots=True)
class Transaction:
    """A transaction, and what became of it."""

    group: str
    parts: list[Entry] = field(default_factory=list)
    reverted: bool = False
    commit_lsn: int | None = None
    hidden: bool = False
    gone: bool = False


@dataclass(slots=True)
class Partial:
    """Which commands of something are done, and the seqs that they are about."""

    total: int
    covered: frozenset[int]
    done: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Model:
    """One log.

    Attributes:
        order: Everything that has a place in the log: records and commits, by LSN.
        open: Transactions that are not over, by the number the test gave them.
        seqs: The newest seq of each group.
        newest_lsn: No LSN at or below it may ever be given out again.
        boundaries: Where frames are known to begin.
        abandoned: Where reservations came to nothing, by group and seq.
        said: The seqs of each group that were checkpointed.
        partial: What was checkpointed in part, by group and first seq.
        newest_revert_lsn: Where that is; 0 if nothing was reverted.
    """

    order: list[Entry | Transaction] = field(default_factory=list)
    entries: dict[int, Entry] = field(default_factory=dict)
    open: dict[int, Transaction] = field(default_factory=dict)
    seqs: dict[str, int] = field(default_factory=dict)
    newest_lsn: int = 0
    boundaries: list[int] = field(default_factory=list)
    by_seq: dict[tuple[str, int], Entry] = field(default_factory=dict)
    abandoned: dict[tuple[str, int], int] = field(default_factory=dict)
    said: dict[str, set[int]] = field(default_factory=dict)
    partial: dict[tuple[str, int], Partial] = field(default_factory=dict)
    newest_revert_lsn: int = 0

    # What happens.

    def _place(self, lsn: int) -> None:
        assert lsn > self.newest_lsn, f"LSN {lsn} again, after {self.newest_lsn}"
        self.newest_lsn = lsn
        self.boundaries.append(lsn)

    def _enter(self, lsn: int, group: str, kind: int, payload: bytes) -> Entry:
        self._place(lsn)
        self.seqs[group] = self.seqs.get(group, 0) + 1
        entry = Entry(Row(lsn, group, self.seqs[group], kind, payload))
        self.entries[lsn] = self.by_seq[group, self.seqs[group]] = entry
        return entry

    def append(self, lsn: int, group: str, payload: bytes) -> None:
        """A record was appended."""
        self.order.append(self._enter(lsn, group, DATA, payload))

    def abandon(self, lsn: int, group: str) -> None:
        """A reservation came to nothing: its seq is gone."""
        self._place(lsn)
        self.seqs[group] = self.seqs.get(group, 0) + 1
        self.abandoned[group, self.seqs[group]] = lsn

    def begin(self, number: int, group: str | None) -> None:
        """A transaction began."""
        self.open[number] = Transaction(group or "default")

    def part(self, number: int, lsn: int, payload: bytes, group: str | None) -> None:
        """A part was appended to a transaction."""
        transaction = self.open[number]
        entry = self._enter(lsn, group or transaction.group, TXN_PART, payload)
        entry.dead, entry.whole = transaction.reverted, transaction
        transaction.parts.append(entry)

    def commit(self, number: int, lsn: int) -> None:
        """A transaction was committed, which was right."""
        transaction = self.open.pop(number)
        assert not transaction.reverted, "committed, although a revert came between"
        if transaction.parts:
            self._place(lsn)
            transaction.commit_lsn = lsn
            self.order.append(transaction)
        else:
            assert lsn == 0, "the commit of nothing has a place"

    def end(self, *numbers: int) -> None:
        """Transactions came to nothing."""
        for number in numbers:
            self._kill(self.open.pop(number))

    def _kill(self, transaction: Transaction) -> None:
        for part in transaction.parts:
            part.dead = True

    def revert(self, from_lsn: int, lsn: int, group: str | None = None) -> None:
        """Everything, or a group's, at or after `from_lsn` was reverted; that is at `lsn`."""
        self._place(lsn)
        self.newest_revert_lsn = lsn
        for entry in self.entries.values():
            if group in (None, entry.row.group) and entry.row.lsn >= from_lsn:
                entry.hidden = True
        for place in self.order if group is None else ():
            if isinstance(place, Transaction) and (place.commit_lsn or 0) >= from_lsn:
                place.hidden = True
                self._kill(place)
        for transaction in self.open.values():
            transaction.reverted = transaction.reverted or bool(transaction.parts)
            self._kill(transaction)

    def service_ended(self) -> None:
        """Nobody was attached any more: open transactions are over."""
        self.end(*self.open)

    def checkpoint(self, group: str, seqs: Iterable[int]) -> None:
        """Nobody needs these seqs of a group any more."""
        for seq in seqs:
            self.said.setdefault(group, set()).add(seq)
            if (group, seq) in self.by_seq:
                self.by_seq[group, seq].checkpointed = True

    def checkpoint_commands(
        self, group: str, covered: Iterable[int], done: Iterable[int], total: int
    ) -> None:
        """Some commands of a record or transaction, which has these seqs, are done."""
        seqs = frozenset(covered)
        one = self.partial.setdefault((group, min(seqs)), Partial(total, seqs))
        one.done.update(done)
        if one.done == set(range(one.total)):
            self.checkpoint(group, seqs)
        if seqs <= self.said.get(group, set()):
            del self.partial[group, min(seqs)]

    # What is seen.

    def read(
        self,
        start: int | None = None,
        end: int | None = None,
        *,
        group: str | None = None,
        uncommitted: bool = False,
        reverted: bool = False,
    ) -> list[Row]:
        """Return what reading gives."""

        def wanted(lsn: int) -> bool:
            return (start is None or lsn >= start) and (end is None or lsn < end)

        found = self._in_place(wanted) if uncommitted else self._committed(wanted)
        return [
            entry.row
            for entry, whole in found
            if group in (None, entry.row.group)
            and not entry.gone
            and (reverted or not (entry.hidden or whole))
        ]

    def replay(self, group: str) -> list[Row]:
        """Return what an engine is given."""
        rows = self.read(group=group)
        return [row for row in rows if not self.entries[row.lsn].checkpointed]

    def _in_place(self, wanted: Callable[[int], bool]) -> Iterator[tuple[Entry, bool]]:
        for lsn, entry in self.entries.items():
            if wanted(lsn):
                yield entry, False

    def _committed(self, wanted: Callable[[int], bool]) -> Iterator[tuple[Entry, bool]]:
        """Iterate over entries, each at the place of its whole, and whether that is hidden."""
        for place in self.order:
            if isinstance(place, Entry):
                if wanted(place.row.lsn):
                    yield place, False
            elif wanted(place.commit_lsn or 0) and not place.gone:
                for part in place.parts:
                    yield part, place.hidden

    def hidden(self, row: Row, uncommitted: bool) -> bool:
        """Tell whether a record that could be read once cannot any more."""
        if uncommitted or row.kind == DATA:
            return self.entries[row.lsn].hidden
        whole = (t for t in self.order if isinstance(t, Transaction))
        place = next(t for t in whole if any(part.row == row for part in t.parts))
        return place.hidden or self.entries[row.lsn].hidden

    def compare(self, found: list[Row], expected: list[Row], start: int) -> int:
        """Compare what was read with the beginning of what was expected; return how far it goes.

        What is gone by now, or lies before the log's start, may be missing.

        Raises:
            AssertionError: They differ.
        """
        position = 0
        for row in found:
            while expected[position : position + 1] != [row]:
                rest = [wanted.lsn for wanted in expected[position : position + 3]]
                assert rest, f"{row} is more than was expected"
                assert self._is_gone(rest[0], start), f"{row} and not {rest}"
                position += 1
            position += 1
        return position

    def require(self, found: list[Row], expected: list[Row], start: int) -> None:
        """Compare all that was read with all that was expected; as `compare`."""
        if found == expected:
            return
        rest = expected[self.compare(found, expected, start) :]
        missing = [row for row in rest if not self._is_gone(row.lsn, start)]
        assert not missing, f"missing at the end: {missing[:3]}"

    def _is_gone(self, lsn: int, start: int) -> bool:
        entry = self.entries[lsn]
        whole = entry.whole
        commit_is_gone = whole is not None and (whole.gone or 0 < (whole.commit_lsn or 0) < start)
        return entry.gone or lsn < start or commit_is_gone
