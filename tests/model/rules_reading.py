"""Rules: the log is read in every way there is."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from logstore.errors import InvalidLSN, NotFound, RevertedError
from logstore.lsn import DURABILITIES, Durability
from tests.model.machine import LogMachine, groups, parties, which
from tests.programs.party import Party
from tests.programs.rows import Row

maybe = st.one_of(st.none(), which)


class Reading(LogMachine):
    """read, follow, load, and readings that go on while the log changes."""

    def __init__(self) -> None:
        super().__init__()
        self.readings: dict[int, tuple[bool, list[Row]]] = {}

    def _range(self, start: int | None, end: int | None) -> tuple[int | None, int | None]:
        return (
            None if start is None else self.an_lsn(start),
            None if end is None else self.an_lsn(end) + 8 * (end % 2),
        )

    @precondition(lambda self: self.model.boundaries)
    @rule(
        who=parties,
        start=maybe,
        end=maybe,
        group=st.one_of(st.none(), groups),
        uncommitted=st.booleans(),
        reverted=st.booleans(),
        copy=st.booleans(),
        reverse=st.booleans(),
        durability=st.sampled_from(DURABILITIES),
    )
    def read(
        self,
        who: str,
        start: int | None,
        end: int | None,
        group: str | None,
        uncommitted: bool,
        reverted: bool,
        copy: bool,
        reverse: bool,
        durability: Durability,
    ) -> None:
        """Read a part, at any durability: all is synced first."""
        if group is not None:
            self.here.party.log.group(group)
        party, where = self.party(who), self._range(start, end)
        party.do(Party.settle)
        try:
            found = party.do(
                Party.read,
                *where,
                group=group,
                uncommitted=uncommitted,
                reverted=reverted,
                copy=copy,
                reverse=reverse,
                durability=durability,
            )
        except NotFound:
            assert self.is_gone(where[0])
            return
        expected = self.model.read(*where, group=group, uncommitted=uncommitted, reverted=reverted)
        self.require(found, expected[::-1] if reverse else expected)

    @precondition(lambda self: self.model.boundaries)
    @rule(who=parties, start=which, group=st.one_of(st.none(), groups))
    def follow(self, who: str, start: int, group: str | None) -> None:
        """Follow from somewhere to the end."""
        if group is not None:
            self.here.party.log.group(group)
        party, first = self.party(who), self.an_lsn(start)
        party.do(Party.settle)
        try:
            found = party.do(Party.follow, first, group)
        except NotFound:
            assert self.is_gone(first)
        else:
            self.require(found, self.model.read(first, group=group))

    @precondition(lambda self: self.model.boundaries)
    @rule(who=parties, choice=which, beside=st.sampled_from([0, 0, 0, 8, 1]))
    def load(self, who: str, choice: int, beside: int) -> None:
        """Load what begins at an LSN, or does not."""
        lsn = self.an_lsn(choice) + beside
        entry = self.model.entries.get(lsn)
        try:
            found = self.party(who).do(Party.load, lsn)
        except NotFound:
            start = self.look()
            gone = entry is not None and entry.gone
            assert gone or lsn < start or entry is None
        except RevertedError:
            assert entry.hidden if entry is not None else lsn in self.model.boundaries
        except InvalidLSN:
            assert entry is None  # a commit's, or nobody's, or no multiple of 8
        else:
            assert entry is not None
            assert entry.row == found
            assert not entry.hidden

    @rule(
        uncommitted=st.booleans(),
        group=st.one_of(st.none(), st.just("default")),
        reverse=st.booleans(),
    )
    def start_reading(self, uncommitted: bool, group: str | None, reverse: bool) -> None:
        """Begin to read what is there now, to go on with it later."""
        number = self.number()
        self.here.do(Party.settle)
        self.here.do(Party.start_reading, number, uncommitted, group, reverse)
        expected = self.model.read(uncommitted=uncommitted, group=group)
        self.readings[number] = uncommitted, expected[::-1] if reverse else expected

    @precondition(lambda self: self.readings)
    @rule(choice=which, most=st.integers(1, 30))
    def go_on_reading(self, choice: int, most: int) -> None:
        """Take some more: what was there at the beginning and is not hidden now."""
        number = sorted(self.readings)[choice % len(self.readings)]
        found = self.here.do(Party.go_on_reading, number, most)
        uncommitted, expected = self.readings[number]
        kept = [row for row in expected if not self.model.hidden(row, uncommitted)]
        start = self.look()
        taken = self.model.compare(found, kept, start)
        if len(found) < most:
            self.model.require([], kept[taken:], start)  # it has ended
        self.readings[number] = uncommitted, kept[taken:]
