"""Rules: transactions begin, grow and end, and things are reverted."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from logstore.errors import InvalidArgument, NotFound, RevertedError
from logstore.lsn import DURABILITIES, Durability
from tests.model.machine import LogMachine, groups, parties, sizes, which
from tests.programs.party import Party

MOST = 5
maybe_groups = st.one_of(st.none(), groups)


class Transacting(LogMachine):
    """Transactions of both processes, all open at once; reverts."""

    @precondition(lambda self: len(self.model.open) < MOST)
    @rule(who=parties, group=maybe_groups)
    def begin(self, who: str, group: str | None) -> None:
        """Begin a transaction."""
        number = self.number()
        self.party(who).do(Party.begin, number, group)
        self.owners[number] = who
        self.model.begin(number, group)

    @precondition(lambda self: self.model.open)
    @rule(choice=which, group=maybe_groups, some=st.lists(sizes, min_size=1, max_size=4))
    def add_parts(self, choice: int, group: str | None, some: list[int]) -> None:
        """Append parts to a transaction, in its group or in another."""
        number, party = self.an_open_transaction(choice)
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
    @rule(who=parties, choice=which)
    def revert(self, who: str, choice: int) -> None:
        """Hide everything from some place on."""
        from_lsn = self.an_lsn(choice)
        try:
            lsn = self.party(who).do(Party.revert, from_lsn)
        except NotFound:
            assert self.is_gone(from_lsn)
        except InvalidArgument:
            assert self.model.waste, "there is no checkpoint"
        else:
            self.model.revert(from_lsn, lsn)
