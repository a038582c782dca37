"""What was appended, and what must be left of it: the judgement of the oracle for power losses.

A log is one sequence, so a single number says what a power loss left: where the log ends. All below
must be there, byte for byte, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from logstore.segments.ranges import RangeSet

Seen = tuple[int, str, int, bytes]
"""A record as a reader sees it: LSN, group, seq, payload."""


@dataclass(frozen=True, slots=True)
class Item:
    """One frame, or a whole batch, that was appended.

    Attributes:
        lsn: Where it is.
        end: Where it ends.
        records: What it holds, as seen once it is visible.
        transaction: The id of the one it is a part of or commits; 0: none.
        commits: Whether it commits it.
        checkpointed: Which seqs of which group it says nobody needs.
        hides_from: All from here up to its own place is hidden; 0: nothing.
    """

    lsn: int
    end: int
    records: tuple[Seen, ...] = ()
    transaction: int = 0
    commits: bool = False
    checkpointed: tuple[str, tuple[tuple[int, int], ...]] = ("", ())
    hides_from: int = 0


@dataclass(slots=True)
class History:
    """All that was appended to one log, in the log's order once `finish` was called."""

    items: list[Item] = field(default_factory=list)
    _expected: dict[int, list[Seen]] = field(default_factory=dict)

    def add(self, item: Item) -> None:
        """Take in one more item; places come in any order."""
        self.items.append(item)

    def finish(self) -> None:
        """Put all items in the log's order."""
        self.items.sort(key=lambda item: item.lsn)
        self._expected.clear()

    def until(self, end: int) -> History:
        """Return what is left of it after a power loss: what later generations begin with."""
        return History([item for item in self.items if item.lsn < end])

    def expected(self, end: int) -> list[Seen]:
        """Return what a reader must see of a log that ends at `end`."""
        if end not in self._expected:
            self._expected[end] = self._visible([i for i in self.items if i.lsn < end])
        return self._expected[end]

    @staticmethod
    def _visible(items: list[Item]) -> list[Seen]:
        reverts = [(item.hides_from, item.lsn) for item in items if item.hides_from]
        seen: list[Seen] = []
        parts: dict[int, list[Seen]] = {}
        for item in items:
            if item.commits:
                # Void: hidden, or open across the end of what was reverted.
                void = any(
                    item.transaction < until < item.lsn or first <= item.lsn < until
                    for first, until in reverts
                )
                seen += [] if void else parts.get(item.transaction, [])
            elif item.transaction:
                parts.setdefault(item.transaction, []).extend(item.records)
            else:
                seen += item.records
        return [s for s in seen if not any(first <= s[0] < until for first, until in reverts)]

    def needed(self, end: int) -> set[Seen]:
        """Return which of the records that are visible compaction must not drop."""
        done: dict[str, RangeSet] = {}
        for item in self.items:
            if item.lsn < end and item.checkpointed[0]:
                for first, last in item.checkpointed[1]:
                    done.setdefault(item.checkpointed[0], RangeSet()).add(first, last)
        return {
            seen
            for seen in self.expected(end)
            if seen[1] not in done or seen[2] not in done[seen[1]]
        }

    def _gone(self, end: int, dropped: list[tuple[int, int]]) -> list[Seen]:
        """Return what would be visible but for compaction: it drops a commit like a record."""
        commits = {i.transaction: i.lsn for i in self.items if i.commits}
        places = {s: commits.get(i.transaction, s[0]) for i in self.items for s in i.records}
        return [
            s
            for s in self.expected(end)
            if any(a <= s[0] < b or a <= places[s] < b for a, b in dropped)
        ]

    def trouble(self, end: int, seen: list[Seen], dropped: list[tuple[int, int]]) -> str:
        """Say what is wrong with a log that ends at `end`; "" if nothing is.

        Args:
            end: Where it ends.
            seen: What it shows.
            dropped: Intervals of LSNs that compaction has taken out of it.
        """
        torn = [i for i in self.items if i.lsn < end < i.end]
        if torn:
            return f"2: the log ends at {end}, within what was appended at {torn[0].lsn}"
        wanted = self.expected(end)
        if dropped:
            gone = self._gone(end, dropped)
            lost = self.needed(end).intersection(gone)
            if lost:
                return f"1: dropped by compaction, and needed: {sorted(lost)[:2]}"
            wanted = [s for s in wanted if s not in gone]
        if seen == wanted:
            return ""
        missing = [s for s in wanted if s not in seen]
        ghosts = [s for s in seen if s not in wanted]
        if missing:
            return f"1: missing below the end, {end}: {missing[:2]}"
        if ghosts:
            return f"2: there and not to be there: {ghosts[:2]}"
        return "2: there twice or out of order"
