"""Reading a running log as a program sees it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from logstore.backward import BackwardView
from logstore.errors import Compacted, InvalidLSN, NotFound, NotWritten, RevertedError
from logstore.frames import DATA, TXN_COMMIT, TXN_PART, Record
from logstore.payloads import EVERY_GROUP
from logstore.raw import RawReader
from logstore.ring._ring import LAYOUT
from logstore.ring.client import Client
from logstore.ring.layout import Level, group_offset
from logstore.segments.fold import catalog_at
from logstore.segments.search import Finder
from logstore.visible import Hidden, Piece, View, bare

if TYPE_CHECKING:
    from logstore.group import Group
    from logstore.segments.catalog import Catalog
    from logstore.segments.ranges import RangeSet

RECENT: Final = 1 << 20
"""Seqs that may be in the ring only: more than a ring has room for."""
_RECORDS: Final = 1 << DATA | 1 << TXN_PART
_NEWEST_REVERT: Final = LAYOUT["newest_revert_lsn"]


@dataclass(frozen=True, slots=True)
class Selection:
    """Say which records are wanted.

    Attributes:
        group: Only this group's; None for all.
        uncommitted: Parts of transactions where they lie, committed or not.
        reverted: What was reverted as well.
        copy: Payloads as bytes of their own, not as views of what was read.
    """

    group: str | None = None
    uncommitted: bool = False
    reverted: bool = False
    copy: bool = True


class LogReader:
    """Read one running log. Iterators it makes are independent; each is for one thread."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._ring = client.ring
        self.raw = RawReader(client)
        self.hidden = Hidden(self.raw)

    def close(self) -> None:
        """Close the directory; iterators end with an error at their next segment."""
        self.raw.close()

    def _view(self, what: Selection) -> View:
        return View(
            self.raw,
            Hidden(self.raw),
            group=what.group,
            uncommitted=what.uncommitted,
            reverted=what.reverted,
            copy=what.copy,
        )

    def read(
        self, start: int | None, end: int | None, level: Level, what: Selection
    ) -> Iterator[Record]:
        """Iterate over the records in [start, end) as far as `level` goes now."""
        view = self._view(what)
        pieces = view.pieces(self._start(start), self.raw.limit(level), end)
        # No Python runs between two records of a piece: it would cost as much as the records.
        return chain.from_iterable(map(view.one_by_one, pieces))

    def read_back(
        self, start: int | None, end: int | None, level: Level, what: Selection
    ) -> Iterator[Record]:
        """Iterate over the same records as `read`, the newest first."""
        view = BackwardView(
            self.raw,
            Hidden(self.raw),
            group=what.group,
            uncommitted=what.uncommitted,
            reverted=what.reverted,
            copy=what.copy,
        )
        pieces = view.pieces_back(self.raw.limit(level), self._start(start), end)
        return chain.from_iterable(map(view.one_by_one, pieces))

    def _start(self, start: int | None) -> int:
        oldest = self._ring.load(LAYOUT["start"])
        if start is None:
            return oldest
        if start < oldest:
            raise NotFound(f"the oldest record is at LSN {oldest}", lsn=start)
        if start > self._ring.load(LAYOUT["head"]):
            raise InvalidLSN("nothing is appended there yet", lsn=start)
        return start

    def follow(
        self, start: int | None, level: Level, timeout_s: float | None, what: Selection
    ) -> Iterator[Record]:
        """Iterate over the records from `start` on as they reach `level`."""
        position = self._ring.load(LAYOUT["head"]) if start is None else self._start(start)
        view = self._view(what)
        pieces = self._await_pieces(view, position, level, timeout_s)
        return chain.from_iterable(map(view.one_by_one, pieces))

    def follow_pieces(
        self, position: int, level: Level, timeout_s: float | None, what: Selection
    ) -> Iterator[Piece]:
        """Iterate over pieces from `position` on as they reach `level`."""
        return self._await_pieces(self._view(what), position, level, timeout_s)

    def _await_pieces(
        self, view: View, position: int, level: Level, timeout_s: float | None
    ) -> Iterator[Piece]:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            rest = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not self._client.await_level(level, position, rest):
                return
            limit = self.raw.limit(level)
            for piece in view.pieces(position, limit):
                if piece.records and timeout_s is not None:
                    deadline = time.monotonic() + timeout_s
                yield piece
            position = limit

    def pieces(self, position: int, level: Level, group: str | None) -> Iterator[Piece]:
        """Iterate over pieces for ever; an empty one says that nothing more is ready now."""
        view = self._view(Selection(group))
        while True:
            limit = self.raw.limit(level)
            if limit > position:
                yield from view.pieces(position, limit)
                position = limit
            yield Piece([], position, False)

    # By seq.

    @property
    def finder(self) -> Finder:
        """What finds records by seq and time."""
        return self.raw.finder

    def catalog(self, level: Level) -> Catalog:
        """Return what the log means as far as a level goes now; reads its newest files."""
        directory = self.raw.directory
        while True:
            limit = self.raw.limit(level)
            try:
                return catalog_at(directory, self._client.identity.uuid, limit)
            except NotFound as error:
                # Sealed and dropped since the limit was read: the log has grown.
                gone = error.path is not None and not directory.exists(error.path.name)
                if not gone and self.raw.limit(level) == limit:
                    raise

    def lsn_at(self, time_ns: int) -> int:
        """Return a position before which nothing was appended at or after a time."""
        start = self.raw.start()
        if self.raw.limit(Level.WRITTEN) == start:
            return start  # there is nothing in the files, and perhaps no segment
        return self.finder.lsn_at(time_ns)

    def segment_of(self, group: Group, seq: int) -> int:
        """Return where the segment with a record begins."""
        return self.finder.segment_of_seq(group.id, seq)

    def lsn_of(self, group: Group, seq: int) -> int:
        """Return the LSN of a record."""
        self._until_written(group, seq)
        return self.finder.lsn_of_seq(group.id, seq)

    def load_seq(self, group: Group, seq: int) -> Record:
        """Return the record of a group with this seq."""
        record = self.raw.loader.known_seq(group.id, seq, self.raw.names())
        if record is None:
            self._until_written(group, seq)
            record = self.raw.loader.load_seq(group.id, seq, self.raw.names())
        if self._ring.load(_NEWEST_REVERT):
            self.require_kept(record.lsn)
        return bare(record) if record.kind == TXN_PART else record

    def _until_written(self, group: Group, seq: int) -> None:
        """Wait for the committer if the record may be in the ring only."""
        newest = self._ring.load(group_offset(group.id, "seq"))
        if seq > newest:
            raise NotWritten(f"group {group.name!r} has come to seq {newest}, not to {seq}")
        if seq > newest - RECENT:
            self._client.await_level(Level.WRITTEN, self._ring.load(LAYOUT["head"]) - 8)

    def oldest_needed(self, group: Group, done: RangeSet) -> int:
        """Return where the segment begins that has the group's oldest record not in `done`."""
        gap = done.first_gap_from(1)
        if gap > self._ring.load(group_offset(group.id, "seq")):
            return self.raw.limit(Level.WRITTEN)
        try:
            return self.finder.segment_of_seq(group.id, gap)
        except Compacted:
            return self.raw.start()
        except NotWritten:
            return self.raw.limit(Level.WRITTEN)

    def synced_seq(self, group: Group) -> int:
        """Return the newest durable seq of a group."""
        try:
            return self.finder.first_seq_from(group.id, self.raw.limit(Level.SYNCED)) - 1
        except NotFound:
            return 0  # nothing was written yet

    def load(self, lsn: int) -> Record:
        """Return the record at `lsn`; a part of a transaction too, whatever became of that."""
        if self._ring.load(_NEWEST_REVERT):
            self.require_kept(lsn)
        record = self.raw.load(lsn, _RECORDS)
        if record.kind == TXN_PART:
            record = bare(record)
        return record

    def require_kept(self, lsn: int) -> None:
        """Refuse a record that was reverted, or a commit; other frames cannot be."""
        self.hidden.refresh()
        if not self.hidden.touches(lsn, lsn):
            return
        frame = self.raw.load(lsn, (1 << 64) - 1)
        # Frames that are no records say group 0, or the group that they are about.
        if frame.kind == TXN_COMMIT:
            scope = EVERY_GROUP
        elif frame.seq:
            scope = self.raw.names().index(frame.group)
        else:
            return
        if self.hidden.hides(lsn, scope):
            raise RevertedError("the record was reverted", lsn=lsn)
