"""What a log should hold: lists, dicts and integers, and nothing clever.

Everything that happens to the log is told to the model in the order in which it happened; it knows
LSNs only by being told, and seqs by counting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from logstore.frames import DATA, TXN_PART
from tests.programs.party import Row


@dataclass(slots=True)
class Entry:
    """A record, or a transaction's part."""

    row: Row
    hidden: bool = False
    dead: bool = False

    @property
    def needed(self) -> bool:
        """Tell whether compaction has to keep it; otherwise it may be gone, or not yet."""
        return not (self.hidden or self.dead)


@dataclass(slots=True)
class Transaction:
    """A transaction, and what became of it."""

    group: str
    parts: list[Entry] = field(default_factory=list)
    reverted: bool = False
    commit_lsn: int | None = None
    hidden: bool = False


@dataclass(slots=True)
class Model:
    """One log.

    Attributes:
        order: Everything that has a place in the log: records and commits, by LSN.
        open: Transactions that are not over, by the number the test gave them.
        seqs: The newest seq of each group.
        newest_lsn: No LSN at or below it may ever be given out again.
        boundaries: Where frames are known to begin.
    """

    order: list[Entry | Transaction] = field(default_factory=list)
    entries: dict[int, Entry] = field(default_factory=dict)
    open: dict[int, Transaction] = field(default_factory=dict)
    seqs: dict[str, int] = field(default_factory=dict)
    newest_lsn: int = 0
    boundaries: list[int] = field(default_factory=list)

    # What happens.

    def _place(self, lsn: int) -> None:
        assert lsn > self.newest_lsn, f"LSN {lsn} again, after {self.newest_lsn}"
        self.newest_lsn = lsn
        self.boundaries.append(lsn)

    def _enter(self, lsn: int, group: str, kind: int, payload: bytes) -> Entry:
        self._place(lsn)
        self.seqs[group] = self.seqs.get(group, 0) + 1
        entry = Entry(Row(lsn, group, self.seqs[group], kind, payload))
        self.entries[lsn] = entry
        return entry

    def append(self, lsn: int, group: str, payload: bytes) -> None:
        """A record was appended."""
        self.order.append(self._enter(lsn, group, DATA, payload))

    def abandon(self, lsn: int, group: str) -> None:
        """A reservation came to nothing: its seq is gone."""
        self._place(lsn)
        self.seqs[group] = self.seqs.get(group, 0) + 1

    def begin(self, number: int, group: str | None) -> None:
        """A transaction began."""
        self.open[number] = Transaction(group or "default")

    def part(self, number: int, lsn: int, payload: bytes, group: str | None) -> None:
        """A part was appended to a transaction."""
        transaction = self.open[number]
        entry = self._enter(lsn, group or transaction.group, TXN_PART, payload)
        entry.dead = transaction.reverted
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

    def revert(self, from_lsn: int, lsn: int) -> None:
        """Everything at or after `from_lsn` was reverted; that took place at `lsn`."""
        self._place(lsn)
        for entry in self.entries.values():
            entry.hidden = entry.hidden or entry.row.lsn >= from_lsn
        for place in self.order:
            if isinstance(place, Transaction) and (place.commit_lsn or 0) >= from_lsn:
                place.hidden = True
                self._kill(place)
        for transaction in self.open.values():
            transaction.reverted = transaction.reverted or bool(transaction.parts)
            self._kill(transaction)

    def service_ended(self) -> None:
        """Nobody was attached any more: open transactions are over."""
        self.end(*self.open)

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
            if group in (None, entry.row.group) and (reverted or not (entry.hidden or whole))
        ]

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
            elif wanted(place.commit_lsn or 0):
                for part in place.parts:
                    yield part, place.hidden

    def hidden(self, row: Row, uncommitted: bool) -> bool:
        """Tell whether a record that could be read once cannot any more."""
        if uncommitted or row.kind == DATA:
            return self.entries[row.lsn].hidden
        whole = (t for t in self.order if isinstance(t, Transaction))
        place = next(t for t in whole if any(part.row == row for part in t.parts))
        return place.hidden or self.entries[row.lsn].hidden

    def compare(self, found: list[Row], expected: list[Row]) -> int:
        """Compare what was read with the beginning of what was expected; return how far it goes.

        What is not needed may be missing.

        Raises:
            AssertionError: They differ.
        """
        position = 0
        for row in found:
            while expected[position : position + 1] != [row]:
                rest = [wanted.lsn for wanted in expected[position : position + 3]]
                assert rest, f"{row} is more than was expected"
                missing = self.entries[rest[0]]
                assert not missing.needed, f"{row} and not {rest}"
                position += 1
            position += 1
        return position

    def require(self, found: list[Row], expected: list[Row]) -> None:
        """Compare all that was read with all that was expected; as `compare`."""
        rest = expected[self.compare(found, expected) :]
        missing = [row for row in rest if self.entries[row.lsn].needed]
        assert not missing, f"missing at the end: {missing[:3]}"
