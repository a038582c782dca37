"""Rules: the log is read in every way there is."""

from __future__ import annotations

from contextlib import nullcontext, suppress

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from logstore.errors import InvalidLSN, NotFound, RevertedError
from logstore.lsn import DURABILITIES, Durability
from tests.model.machine import LogMachine, groups, parties, which
from tests.programs.party import Party, Row

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
                durability=durability,
            )
        except NotFound:
            assert self.is_gone(where[0])
            return
        expected = self.model.read(*where, group=group, uncommitted=uncommitted, reverted=reverted)
        self.model.require(found, expected)

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
            assert found == self.model.read(first, group=group)

    @precondition(lambda self: self.model.boundaries)
    @rule(who=parties, choice=which, beside=st.sampled_from([0, 0, 0, 8, 1]))
    def load(self, who: str, choice: int, beside: int) -> None:
        """Load what begins at an LSN, or does not."""
        lsn = self.an_lsn(choice) + beside
        entry = self.model.entries.get(lsn)
        if entry is not None and not entry.hidden:
            with suppress(NotFound) if entry.dead else nullcontext():
                assert self.party(who).do(Party.load, lsn) == entry.row
        elif entry is not None:
            with pytest.raises((RevertedError, NotFound)):
                self.party(who).do(Party.load, lsn)
        elif lsn in self.model.boundaries:
            with pytest.raises((InvalidLSN, RevertedError, NotFound)):
                self.party(who).do(Party.load, lsn)
        elif beside == 1:
            with pytest.raises(InvalidLSN):  # no multiple of 8
                self.party(who).do(Party.load, lsn)

    @rule(uncommitted=st.booleans(), group=st.one_of(st.none(), st.just("default")))
    def start_reading(self, uncommitted: bool, group: str | None) -> None:
        """Begin to read what is there now, to go on with it later."""
        number = self.number()
        self.here.do(Party.settle)
        self.here.do(Party.start_reading, number, uncommitted, group)
        expected = self.model.read(uncommitted=uncommitted, group=group)
        self.readings[number] = uncommitted, expected

    @precondition(lambda self: self.readings)
    @rule(choice=which, most=st.integers(1, 30))
    def go_on_reading(self, choice: int, most: int) -> None:
        """Take some more: what was there at the beginning and is not hidden now."""
        number = sorted(self.readings)[choice % len(self.readings)]
        found = self.here.do(Party.go_on_reading, number, most)
        uncommitted, expected = self.readings[number]
        kept = [row for row in expected if not self.model.hidden(row, uncommitted)]
        taken = self.model.compare(found, kept)
        if len(found) < most:
            self.model.require([], kept[taken:])  # it has ended
        self.readings[number] = uncommitted, kept[taken:]
