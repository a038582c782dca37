"""Rules: what is not needed any more is said, dropped, not replayed, and cannot be reverted."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from logstore.checkpoints import Checkpoints
from logstore.errors import (
    Compacted,
    InvalidArgument,
    NotFound,
    NotWritten,
    RevertedError,
)
from tests.model.machine import groups, parties, which
from tests.model.model import Transaction
from tests.model.retention import is_kept_for_a_reason, revert_is_refused
from tests.model.rules_reading import Reading
from tests.programs.party import Party
from tests.programs.party_parts import Ranges
from tests.service import until

spans = st.lists(st.tuples(which, st.integers(0, 12)), min_size=1, max_size=4)


class Keeping(Reading):
    """Checkpoints, compaction, replay, records by seq, reverts of one group."""

    def newest(self, group: str) -> int:
        """Return a group's newest seq."""
        return self.model.seqs.get(group, 0)

    def _a_group(self, choice: int) -> str:
        names = sorted(self.model.seqs)
        return names[choice % len(names)]

    # Checkpoints.

    @precondition(lambda self: self.model.seqs)
    @rule(who=parties, choice=which, some=spans, up_to=st.one_of(st.none(), st.integers(0, 9)))
    def checkpoint(
        self, who: str, choice: int, some: list[tuple[int, int]], up_to: int | None
    ) -> None:
        """Checkpoint stretches, in any order, and perhaps all but the last few."""
        group = self._a_group(choice)
        newest = self.newest(group)
        ranges = [(1 + at % newest, min(newest, 1 + at % newest + n)) for at, n in some]
        end = None if up_to is None or up_to >= newest else newest - up_to
        self._say(who, group, end, ranges)

    def _say(self, who: str, group: str, up_to: int | None, ranges: Ranges) -> None:
        self.party(who).do(Party.checkpoint, group, up_to, ranges)
        for first, last in [*ranges, (1, up_to or 0)]:
            self.model.checkpoint(group, range(first, last + 1))

    @precondition(lambda self: self.model.seqs)
    @rule(who=parties, lag=st.sampled_from([0, 0, 1, 5, 40]))
    def checkpoint_all(self, who: str, lag: int) -> None:
        """Checkpoint every group, all but the last few."""
        for group, newest in self.model.seqs.items():
            if newest > lag:
                self._say(who, group, newest - lag, [])

    @rule(who=parties, group=groups, first=st.integers(-1, 3), beyond=st.booleans())
    def checkpoint_wrongly(self, who: str, group: str, first: int, beyond: bool) -> None:
        """Say what must be refused: beyond the end, backwards, below 1, nothing."""
        newest = self.newest(group)
        last = newest + 1 if beyond else first - 1
        with pytest.raises(InvalidArgument):
            self.party(who).do(Party.checkpoint, group, None, [(1, max(newest, 1)), (first, last)])
        with pytest.raises(InvalidArgument):
            self.party(who).do(Party.checkpoint, group, None, [])

    def _with_commands(self, choice: int) -> tuple[str, list[int], bool] | None:
        """Choose a record or transaction to be done with bit by bit: group, seqs, which."""
        places = self.model.order
        place = places[choice % len(places)]
        if not isinstance(place, Transaction):
            return place.row.group, [place.row.seq], False
        if any(part.gone or part.hidden or part.dead for part in place.parts):
            return None  # what is left would begin with another seq
        group = place.parts[choice % len(place.parts)].row.group
        return group, [one.row.seq for one in place.parts if one.row.group == group], True

    @precondition(lambda self: self.model.order)
    @rule(who=parties, choice=which, done=st.sets(st.integers(0, 3), min_size=1))
    def checkpoint_commands(self, who: str, choice: int, done: set[int]) -> None:
        """Be done with some commands of a record or of a transaction."""
        chosen = self._with_commands(choice)
        if chosen is None:
            return
        group, seqs, whole = chosen
        total = 1 + seqs[0] % 4  # always the same for the same record
        indexes = sorted({index % total for index in done})
        try:
            self.party(who).do(Party.checkpoint_commands, group, seqs, indexes, total, whole)
        except NotFound:
            self.look()
            assert whole  # its records were to be loaded
            assert any(self.model.by_seq[group, seq].gone for seq in seqs)
        else:
            self.model.checkpoint_commands(group, seqs, indexes, total)

    @rule(who=parties, group=groups, index=st.sampled_from([-1, 2]), beyond=st.booleans())
    def checkpoint_commands_wrongly(self, who: str, group: str, index: int, beyond: bool) -> None:
        """Say what must be refused: a command that is none, of a record that is none."""
        seq = self.newest(group) + 1 if beyond or not self.newest(group) else 1
        with pytest.raises(InvalidArgument):
            self.party(who).do(Party.checkpoint_commands, group, [seq], [index], 2, False)
        with pytest.raises(InvalidArgument):
            self.party(who).do(Party.checkpoint_commands, group, [seq], [], 2, False)

    def _check_state(self, group: str, state: Checkpoints) -> None:
        model = self.model
        ends = [bound for pair in state.ranges for bound in pair]
        assert all(a < b for a, b in zip(ends[1::2], ends[2::2], strict=False)), "not merged"
        told = {seq for first, last in state.ranges for seq in range(first, last + 1)}
        said = model.said.get(group, set())
        nothing = {seq for g, seq in model.abandoned if g == group}
        nothing |= {seq for (g, seq), one in model.by_seq.items() if g == group and one.dead}
        assert said <= told <= said | nothing
        partial = {key: one for (g, key), one in model.partial.items() if g == group}
        for key, one in partial.items():
            if one.covered <= said | nothing:
                continue
            done, total = state.partial[key]
            assert total == one.total
            assert {i for a, b in done for i in range(a, b + 1)} == one.done
        assert set(state.partial) <= set(partial)

    @rule(who=parties, group=groups)
    def replay(self, who: str, group: str) -> None:
        """Give an engine what it needs, and tell it what is checkpointed."""
        if group not in self.here.party.log.groups():
            with pytest.raises(NotFound):
                self.party(who).do(Party.replay, group)
            return
        self.here.do(Party.settle)
        applied, told, count = self.party(who).do(Party.replay, group)
        assert applied == self.model.replay(group)
        assert count == len(applied)
        assert len(told) == 1
        self._check_state(group, told[0])
        self._check_state(group, self.party(who).do(Party.checkpoints, group))

    # Compaction.

    @rule(who=parties, wait=st.sampled_from([True, True, False]))
    def compact(self, who: str, wait: bool) -> None:
        """Compact: what may go goes, and nothing else."""
        self.here.do(Party.settle)
        if not wait:
            self.party(who).do(Party.compact, False)
            return
        until(lambda: not self._lingering(who), "everything that may go has gone")

    def _lingering(self, who: str) -> list[tuple[int, int]]:
        """Compact, and return segments that should have been dropped."""
        before = self.segments()[:-1]  # what is sealed while it compacts may stay
        self.party(who).do(Party.compact, True)
        self.look()
        return [
            one
            for one in set(before).intersection(self.segments())
            if not is_kept_for_a_reason(
                self.model, one, self.cursors.values(), readings=bool(self.readings)
            )
        ]

    # By seq.

    @precondition(lambda self: self.model.seqs)
    @rule(who=parties, choice=which, at=which, beyond=st.sampled_from([0, 0, 0, 0, 1, 7]))
    def load_seq(self, who: str, choice: int, at: int, beyond: int) -> None:
        """Load a record by its seq: it is there, or there are three ways in which it is not."""
        group = self._a_group(choice)
        newest = self.newest(group)
        seq = newest + beyond if beyond else 1 + at % newest
        entry = self.model.by_seq.get((group, seq))
        try:
            found = self.party(who).do(Party.load_seq, group, seq)
        except NotWritten:
            assert entry is None
        except Compacted:
            start = self.look()
            lost = self.model.abandoned.get((group, seq), 0)
            assert lost or (entry is not None and (entry.gone or entry.row.lsn < start))
        except RevertedError:
            assert entry is not None
            assert entry.hidden
        else:
            assert entry is not None
            assert not entry.hidden
            assert found == entry.row

    @precondition(lambda self: self.model.seqs)
    @rule(who=parties, choice=which, at=which, length=st.one_of(st.none(), st.integers(0, 50)))
    def read_seqs(self, who: str, choice: int, at: int, length: int | None) -> None:
        """Read a group from a seq on."""
        group = self._a_group(choice)
        first = 1 + at % (self.newest(group) + 1)
        end = None if length is None else first + length
        self.here.do(Party.settle)
        expected = self.model.read(group=group)
        try:
            found = self.party(who).do(Party.read_seqs, group, first, end)
        except NotWritten:
            assert (group, first) not in self.model.by_seq
        except Compacted:
            start = self.look()
            entry = self.model.by_seq.get((group, first))
            assert entry is None or entry.gone or entry.row.lsn < start
        else:
            wanted = [r for r in expected if r.seq >= first and (end is None or r.seq < end)]
            self.require(found, wanted)

    # Reverts of one group.

    @precondition(lambda self: self.model.seqs)
    @rule(who=parties, choice=which, back=st.integers(-1, 6))
    def revert_group(self, who: str, choice: int, back: int) -> None:
        """Hide the last few records of a group."""
        group = self._a_group(choice)
        seq = max(1, self.newest(group) - back)
        entry = self.model.by_seq.get((group, seq))
        from_lsn = entry.row.lsn if entry else self.model.abandoned.get((group, seq), 1 << 62)
        refused = revert_is_refused(self.model, from_lsn, group)
        try:
            lsn = self.party(who).do(Party.revert_group, group, seq)
        except InvalidArgument:
            assert refused is not False
        except NotWritten:
            assert entry is None
        except Compacted:
            self.look()
            assert entry is None or entry.gone
        else:
            assert not refused
            assert entry is not None
            self.model.revert(from_lsn, lsn, group)
