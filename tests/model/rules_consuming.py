"""Rules: consumers with durable cursors, which compaction waits for."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from logstore.errors import InUse, InvalidArgument, InvalidLSN, NotFound
from logstore.places import Start
from logstore.ring._ring import LAYOUT
from tests.model.machine import LogMachine, groups, parties, which
from tests.model.retention import Place
from tests.programs.party import Party
from tests.programs.rows import Row

NAMES = ("a", "b.c", "d-3")
names = st.sampled_from(NAMES)


class Consuming(LogMachine):
    """Cursors of both processes: made, read, advanced, moved, closed, deleted."""

    def _note_saved(self, *, at: tuple[int, ...] = ()) -> None:
        """See what is on disk of all cursors; their positions never go back by themselves."""
        pids = {who: self.party(who).do(Party.pid) for who in self._holders()}
        told = self.here.do(Party.cursors)
        assert set(told) == set(self.cursors)
        for name, place in self.cursors.items():
            row = told[name]
            assert row.group == place.group
            assert row.holder == (None if place.holder is None else pids[place.holder])
            assert place.saved <= row.position <= place.position or row.position in at
            place.saved = row.position

    def _holders(self) -> set[str]:
        return {place.holder for place in self.cursors.values() if place.holder is not None}

    def _held(self, choice: int) -> tuple[str, Place, str] | None:
        """Choose a cursor that is held.

        That there is none is no precondition: it depends on when a compaction ran, and what is
        drawn next must not.
        """
        held = [name for name, place in self.cursors.items() if place.holder is not None]
        if not held:
            return None
        name = held[choice % len(held)]
        place = self.cursors[name]
        assert place.holder is not None
        return name, place, place.holder

    def let_go(self, *, saved: str = "", killed: str = "") -> None:
        """Processes have left or were killed: their cursors are free, and saved by who left."""
        for place in self.cursors.values():
            if place.holder == killed:
                place.position = place.saved
            if place.holder in (saved, killed):
                place.holder = None
        self._note_saved()
        for place in self.cursors.values():
            if place.holder is None:
                place.position = place.saved

    # Opening and closing.

    @rule(
        who=parties,
        name=names,
        group=st.one_of(st.none(), st.none(), groups),
        start=st.one_of(st.sampled_from(["oldest", "newest"]), which),
        beside=st.sampled_from([0, 0, 0, 8]),
        interval_s=st.sampled_from([0.0, 1000.0]),
    )
    def open_cursor(
        self,
        who: str,
        name: str,
        group: str | None,
        start: Start,
        beside: int,
        interval_s: float,
    ) -> None:
        """Open a cursor, new or not; refused if it is held, or reads something else."""
        if isinstance(start, int):
            start = self.an_lsn(start) + beside if self.model.boundaries else "oldest"
        if group is not None:
            self.here.party.log.group(group)
        known = self.cursors.get(name)
        dropped = self._dropped()
        self.look()
        head = self.here.party.log.watermarks().reserved
        try:
            position = self.party(who).do(Party.open_cursor, name, group, start, interval_s)
        except InUse as error:
            assert known is not None
            assert known.holder is not None
            holder = error.pid
            assert holder == self.party(known.holder).do(Party.pid)
            return
        except InvalidArgument:
            assert known is not None
            assert group not in (None, known.group)
            return
        except (InvalidLSN, NotFound) as error:
            assert known is None
            gone = isinstance(error, NotFound)
            assert self._is_no_place(start, gone), f"there is something at {start}"
            return
        if known is None:
            low = {"oldest": 0, "newest": head}.get(str(start), start)
            assert isinstance(low, int)
            assert start == "oldest" or low <= position
            assert start in ("oldest", "newest") or low == position
            self._look_before_placed(dropped)
            self.cursors[name] = Place(group, position, position, who, position)
        else:
            assert known.holder is None
            assert position == known.position
            known.holder = who
        self._forget_loop(self.cursors[name])
        self._note_saved()

    def _dropped(self) -> int:
        """Return how many bytes compaction has dropped; it counts them last."""
        return self.here.party.log._client.ring.load(LAYOUT["compact_bytes"])

    def _look_before_placed(self, dropped: int) -> None:
        """See what a compaction has dropped that ended while a cursor waited for its place."""
        if self._dropped() != dropped:
            self.look()

    def _is_no_place(self, start: Start, gone: bool) -> bool:
        segments, start_lsn = self.segments(), self.start()
        if not isinstance(start, int):
            return False
        inside = (
            not segments or start >= segments[-1][1] or any(a <= start < b for a, b in segments)
        )
        if gone:
            return start < start_lsn or not inside
        return start not in self.model.boundaries

    def _forget_loop(self, place: Place) -> None:
        place.looped_at, place.farthest, place.delivered = place.position, -1, 0

    @rule(choice=which)
    def close_cursor(self, choice: int) -> None:
        """Give a cursor back: it has been saved."""
        held = self._held(choice)
        if held is None:
            return
        name, place, who = held
        self.here.do(Party.settle)
        self.party(who).do(Party.close_cursor, name)
        place.holder = None
        self._note_saved()
        assert place.saved == place.position

    @rule(choice=which)
    def save_cursor(self, choice: int) -> None:
        """Save a position."""
        held = self._held(choice)
        if held is None:
            return
        name, place, who = held
        self.party(who).do(Party.save_cursor, name)
        self._note_saved()
        assert place.saved == place.position

    @rule(who=parties, name=names)
    def delete_cursor(self, who: str, name: str) -> None:
        """Delete a cursor; refused if it is held, or not there."""
        place = self.cursors.get(name)
        if place is None or place.holder is not None:
            with pytest.raises(NotFound if place is None else InUse):
                self.party(who).do(Party.delete_cursor, name)
            return
        self.party(who).do(Party.delete_cursor, name)
        del self.cursors[name]

    @precondition(lambda self: self.model.boundaries)
    @rule(who=parties, name=names, to=which, beside=st.sampled_from([0, 0, 8]))
    def move_cursor(self, who: str, name: str, to: int, beside: int) -> None:
        """Move a cursor anywhere; refused if somebody else holds it, or nothing is there."""
        place, lsn = self.cursors.get(name), self.an_lsn(to) + beside
        held = place is not None and place.holder == who
        dropped = self._dropped()
        self.look()
        try:
            self.party(who).do(Party.move_cursor, name, lsn, held)
        except InUse:
            assert place is not None
            assert place.holder not in (None, who)
        except (InvalidLSN, NotFound) as error:
            gone = isinstance(error, NotFound)
            assert place is None or self._is_no_place(lsn, gone)
            self._note_saved()
        else:
            assert place is not None
            self._look_before_placed(dropped)
            place.position = lsn
            self._forget_loop(place)
            self._note_saved(at=(lsn,))
            assert place.saved == lsn

    # Consuming.

    def _rest(self, place: Place, start: int) -> list[Row]:
        return self.model.read(start, group=place.group)

    @rule(choice=which, most=st.sampled_from([1, 3, 10, 1000, 1000]))
    def read_cursor(self, choice: int, most: int) -> None:
        """Read on from the position: all of it is there."""
        held = self._held(choice)
        if held is None:
            return
        name, place, who = held
        self.here.do(Party.settle)
        expected = self._rest(place, place.position)
        found, position = self.party(who).do(Party.read_cursor, name, most)
        self.look()
        assert found == expected[:most]
        assert position >= place.position
        assert self._rest(place, position) == expected, "it has passed what is not done with"
        self._forget_loop(place)
        place.position, place.delivered = position, len(found)
        place.reverts = self.model.newest_revert_lsn
        self._note_saved()

    @rule(choice=which, at=which, last=st.booleans())
    def advance_cursor(self, choice: int, at: int, last: bool) -> None:
        """Be done with something; what is left comes from the new position on."""
        held = self._held(choice)
        if held is None:
            return
        name, place, who = held
        if not place.delivered:
            return
        index = place.delivered - 1 if last else at % place.delivered
        before = self._rest(place, place.looped_at)
        position = self.party(who).do(Party.advance_cursor, name, index)
        assert position >= place.position
        if index <= place.farthest:
            assert position == place.position, "it has moved for what was done with"
        elif place.reverts == self.model.newest_revert_lsn:
            assert self._rest(place, position) == before[self._whole_end(before, index) :]
        place.farthest = max(place.farthest, index)
        place.position = position
        self._note_saved()

    def _whole_end(self, rows: list[Row], index: int) -> int:
        """Return from where on records come again when one is done with: not half a transaction."""
        whole = self.model.entries[rows[index].lsn].whole
        wholes = [self.model.entries[row.lsn].whole for row in rows]
        if whole is None or index + 1 == len(rows) or wholes[index + 1] is not whole:
            return index + 1
        return wholes.index(whole)

    @rule(choice=which, which_record=which)
    def advance_beyond(self, choice: int, which_record: int) -> None:
        """Be done with what was not delivered: refused."""
        held = self._held(choice)
        if held is None:
            return
        name, place, who = held
        delivered = self._rest(place, place.looped_at)[: place.delivered]
        coming = self._rest(place, place.position)[place.delivered :]
        unknown = [row for row in coming if row not in delivered]
        if unknown and place.reverts == self.model.newest_revert_lsn:
            row = unknown[which_record % len(unknown)]
            with pytest.raises(InvalidArgument):
                self.party(who).do(Party.advance_cursor_to, name, row.lsn)
