"""Rules: transactions begin, grow and end, and things are reverted."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from logstore.errors import InvalidArgument, InvalidLSN, NotFound, RevertedError
from logstore.lsn import DURABILITIES, Durability
from tests.model.machine import LogMachine, groups, parties, sizes, which
from tests.model.retention import revert_is_refused
from tests.programs.party import Party

MOST = 5
maybe_groups = st.one_of(st.none(), groups)


class Transacting(LogMachine):
    """Transactions of both processes, all open at once; reverts."""

    @precondition(lambda self: len(self.model.open) < MOST)
    @rule(who=parties, group=maybe_groups, some=st.lists(sizes, max_size=3))
    def begin(self, who: str, group: str | None, some: list[int]) -> None:
        """Begin a transaction, perhaps with its first parts."""
        number = self.number()
        self.party(who).do(Party.begin, number, group)
        self.owners[number] = who
        self.model.begin(number, group)
        self._add(number, None, some)

    @precondition(lambda self: self.model.open)
    @rule(choice=which, group=maybe_groups, some=st.lists(sizes, min_size=1, max_size=4))
    def add_parts(self, choice: int, group: str | None, some: list[int]) -> None:
        """Append parts to a transaction, in its group or in another."""
        number, _ = self.an_open_transaction(choice)
        self._add(number, group, some)

    def _add(self, number: int, group: str | None, some: list[int]) -> None:
        party = self.party(self.owners[number])
        for size in some:
            payload = self.payload(size)
            lsn = party.do(Party.part, number, payload, group)
            self.model.part(number, lsn, payload, group)

    @precondition(lambda self: self.model.open)
    @rule(choice=which, durability=st.sampled_from(DURABILITIES))
    def commit(self, choice: int, durability: Durability) -> None:
        """Commit a transaction; refused if a revert came between."""
        number, party = self.an_open_transaction(choice)
        if self.model.open[number].reverted:
            with pytest.raises(RevertedError):
                party.do(Party.commit, number, durability)
            self.model.end(number)
        else:
            self.model.commit(number, party.do(Party.commit, number, durability))

    @precondition(lambda self: self.model.open)
    @rule(choice=which)
    def abort(self, choice: int) -> None:
        """Abort a transaction."""
        number, party = self.an_open_transaction(choice)
        party.do(Party.abort, number)
        self.model.end(number)

    @precondition(lambda self: self.model.boundaries)
    @rule(who=parties, back=st.integers(1, 8))
    def revert_a_little(self, who: str, back: int) -> None:
        """Hide the last few things, a commit but not its parts for one."""
        self._revert(who, self.model.boundaries[-back:][0])

    @precondition(lambda self: self.model.boundaries)
    @rule(who=parties, choice=which)
    def revert(self, who: str, choice: int) -> None:
        """Hide everything from some place on."""
        self._revert(who, self.an_lsn(choice))

    def _revert(self, who: str, from_lsn: int) -> None:
        refused = revert_is_refused(self.model, from_lsn)
        if refused:
            with pytest.raises((InvalidArgument, NotFound)):
                self.party(who).do(Party.revert, from_lsn)
            return
        try:
            lsn = self.party(who).do(Party.revert, from_lsn)
        except NotFound:
            assert self.is_gone(from_lsn)
        except InvalidArgument as error:
            # In a segment that was dropped nobody can tell what lay before the place.
            places = {place: one.row.lsn for place, one in self.model.by_seq.items()}
            known = f"{error}; {from_lsn}; {self.model.said}; {places}; {self.segments()}"
            assert refused is None or self.is_dropped(from_lsn), known
        else:
            assert not refused
            self.model.revert(from_lsn, lsn)

    @rule(who=parties)
    def ask_for_what_is_refused(self, who: str) -> None:
        """Commit what was aborted, and revert in the future."""
        party, number = self.party(who), self.number()
        party.do(Party.begin, number, None)
        with pytest.raises(InvalidArgument):
            party.do(Party.commit_aborted, number)
        with pytest.raises(InvalidLSN):
            party.do(Party.revert, self.here.party.log.watermarks().reserved + 4096)
