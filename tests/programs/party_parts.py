"""What a `Party` does besides writing and reading: checkpoints, compaction, replay, cursors."""

from __future__ import annotations

import os
from typing import NamedTuple

import logstore
from logstore import Record
from logstore.checkpoints import Checkpoints
from logstore.cursor import Cursor
from logstore.places import Start
from tests.programs.rows import Row, row_of

Ranges = list[tuple[int, int]]


class Keeper:
    """Says what is not needed any more, and asks what is."""

    log: logstore.Log

    def checkpoint(self, group: str, up_to: int | None, ranges: Ranges) -> int:
        """Checkpoint by ranges."""
        return self.log.group(group).checkpoint(up_to=up_to, ranges=ranges)

    def checkpoint_commands(
        self, group: str, seqs: list[int], done: list[int], total: int, as_records: bool
    ) -> int:
        """Checkpoint in part: one record by its seq, or several that are loaded first."""
        where = self.log.group(group)
        if as_records:
            return where.checkpoint_commands([where.load(seq) for seq in seqs], done, total)
        return where.checkpoint_commands(seqs[0], done, total)

    def checkpoints(self, group: str) -> Checkpoints:
        """Return what is checkpointed."""
        return self.log.group(group).checkpoints()

    def compact(self, wait: bool) -> int:
        """Compact."""
        return self.log.compact(wait=wait, timeout=10.0)

    def replay(self, group: str) -> tuple[list[Row], list[Checkpoints], int]:
        """Replay; return what was applied, what was told first, and the answer."""
        applied: list[Row] = []
        told: list[Checkpoints] = []
        count = self.log.replay(
            group, lambda record: applied.append(row_of(record)), on_checkpoints=told.append
        )
        return applied, told, count

    def load_seq(self, group: str, seq: int) -> Row:
        """Load one record of a group."""
        return row_of(self.log.group(group).load(seq))

    def read_seqs(self, group: str, start: int | None, end: int | None) -> list[Row]:
        """Read a group by seqs."""
        return [row_of(record) for record in self.log.group(group).read(start, end)]

    def revert_group(self, group: str, seq: int) -> int:
        """Revert one group."""
        return self.log.group(group).revert(seq)

    def revert_refused(self, lsn: int) -> int:
        """Revert, which should be refused."""
        return self.log.revert(lsn)


class CursorRow(NamedTuple):
    """What is known of one cursor."""

    group: str | None
    position: int
    holder: int | None


class Consumer:
    """Holds cursors, by their names."""

    log: logstore.Log

    def pid(self) -> int:
        """Return the process's id."""
        return os.getpid()

    def __init__(self) -> None:
        self._cursors: dict[str, Cursor] = {}
        self._delivered: dict[str, list[Record]] = {}

    def forget_cursors(self) -> None:
        """Forget cursors that the log has closed."""
        self._cursors.clear()

    def open_cursor(self, name: str, group: str | None, start: Start, interval_s: float) -> int:
        """Open a cursor; return its position."""
        cursor = self.log.cursor(name, group=group, start=start, save_interval_s=interval_s)
        self._cursors[name] = cursor
        self._delivered[name] = []
        return cursor.position

    def read_cursor(self, name: str, most: int) -> tuple[list[Row], int]:
        """Read from the position on, at most so much; return it, and the position then."""
        found: list[Record] = []
        for record in self._cursors[name].records(timeout=0.0):
            found.append(record)
            if len(found) == most:
                break
        self._delivered[name] = found
        return [row_of(record) for record in found], self._cursors[name].position

    def advance_cursor(self, name: str, index: int) -> int:
        """Be done with one of the records delivered last; return the position."""
        self._cursors[name].advance(self._delivered[name][index])
        return self._cursors[name].position

    def advance_cursor_to(self, name: str, lsn: int) -> None:
        """Be done with a record that was not delivered."""
        self._cursors[name].advance(self.log.load(lsn))

    def save_cursor(self, name: str) -> None:
        """Save a cursor's position."""
        self._cursors[name].save(10.0)

    def move_cursor(self, name: str, lsn: int, held: bool) -> None:
        """Move a cursor that is held here, or by nobody."""
        if held:
            self._cursors[name].move(lsn)
            self._delivered[name] = []
        else:
            self.log.move_cursor(name, lsn)

    def close_cursor(self, name: str) -> None:
        """Give a cursor back."""
        self._cursors.pop(name).close()

    def delete_cursor(self, name: str) -> None:
        """Delete a cursor."""
        self.log.delete_cursor(name)

    def cursors(self) -> dict[str, CursorRow]:
        """Return what is known of all cursors."""
        return {
            one.name: CursorRow(one.group, one.position_lsn, one.holder)
            for one in self.log.cursors()
        }
