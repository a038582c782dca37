"""From frames to what a reader may see: transactions at their commit, nothing that was reverted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, NamedTuple, Protocol

from logstore.errors import NotFound
from logstore.format import span
from logstore.frames import DATA, REVERT, TXN_ABORT, TXN_COMMIT, TXN_PART, Record, kinds_of
from logstore.payloads import (
    EVERY_GROUP,
    PART_PREFIX_SIZE,
    Interval,
    decode_commit,
    decode_revert,
)
from logstore.raw import RawReader
from logstore.ring._ring import LAYOUT

RECORDS: Final = 1 << DATA
FRAMES: Final = RECORDS | 1 << TXN_PART | 1 << TXN_COMMIT | 1 << TXN_ABORT
BUFFERED: Final = 4 << 20
"""Bytes of open transactions that are remembered; larger ones are read again at their commit."""
_NEWEST_REVERT: Final = LAYOUT["newest_revert_lsn"]


class Frames(Protocol):
    """What a view looks at: a running log, or files alone."""

    def start(self) -> int:
        """Return the LSN of the oldest frame there may be."""

    def names(self) -> list[str]:
        """Return the group names by id."""

    def chunks(
        self, position: int, limit: int, kinds: int, *, copy: bool = True
    ) -> Iterator[list[Record]]:
        """Iterate over lists of frames in [position, limit); both are frame boundaries."""

    def load(self, lsn: int, kinds: int) -> Record:
        """Return the frame at `lsn` if it is of one of the kinds."""


class Intervals:
    """What was reverted, once and for all.

    Attributes:
        intervals: What is hidden.
        newest_lsn: The revert frame that lists it.
    """

    def __init__(self, intervals: tuple[Interval, ...] = ()) -> None:
        self.intervals = intervals
        self.newest_lsn = 0

    def fresh(self) -> bool:
        """Tell whether nothing was reverted since the last `refresh`."""
        return True

    def deliver(
        self, records: list[Record], rest: Callable[[int], Iterator[Record]]
    ) -> Iterator[Record]:
        """Iterate over records while `fresh`, looked at for each; then over `rest(how many)`."""
        return iter(records)

    def refresh(self) -> None:
        """Learn of the newest revert, if there is a new one; waits for nobody."""

    def touches(self, first_lsn: int, last_lsn: int) -> bool:
        """Tell whether any LSN in [first_lsn, last_lsn] may be hidden."""
        return any(i.from_lsn <= last_lsn and first_lsn < i.until_lsn for i in self.intervals)

    def hides(self, lsn: int, group: int) -> bool:
        """Tell whether a record of a group at this LSN is hidden."""
        return any(interval.hides(lsn, group) for interval in self.intervals)

    def voids(self, first_lsn: int, commit_lsn: int) -> bool:
        """Tell whether a transaction was open across a revert, or its commit is hidden."""
        return any(
            first_lsn < i.until_lsn < commit_lsn
            or (i.scope == EVERY_GROUP and i.from_lsn <= commit_lsn < i.until_lsn)
            for i in self.intervals
        )


class Hidden(Intervals):
    """What was reverted in a running log, by its newest revert frame. Threads may share it."""

    def __init__(self, raw: RawReader) -> None:
        super().__init__()
        self._raw = raw
        self._ring = raw.client.ring
        self._learning = threading.Lock()

    def fresh(self) -> bool:
        """Tell whether nothing was reverted since the last `refresh`."""
        return self._ring.load(_NEWEST_REVERT) == self.newest_lsn

    def deliver(
        self, records: list[Record], rest: Callable[[int], Iterator[Record]]
    ) -> Iterator[Record]:
        """Iterate over records while `fresh`, looked at for each; then over `rest(how many)`."""
        return self._ring.deliver(records, _NEWEST_REVERT, self.newest_lsn, rest)

    def refresh(self) -> None:
        """Learn of the newest revert, if there is a new one; waits for nobody."""
        if self.fresh():
            return
        # Or a thread that read an older revert would put it in the place of a newer one.
        with self._learning:
            while not self.fresh():
                newest = self._ring.load(_NEWEST_REVERT)
                payload = bytes(self._raw.published_frame(newest, 1 << REVERT).payload)
                self.intervals = decode_revert(payload, newest)
                self.newest_lsn = newest


class Piece(NamedTuple):
    """Records to deliver together.

    Attributes:
        records: In their order.
        resume_lsn: Where reading goes on once all of them are done with.
        whole: They are (the end of) one transaction: before its last record reading would have
            to resume at the commit. Otherwise reading may resume behind each record.
        transaction: Then, the LSNs of its first part and of its commit.
    """

    records: list[Record]
    resume_lsn: int
    whole: bool
    transaction: tuple[int, int] | None = None


class View:
    """Turn frames into pieces that may be seen. For one iteration."""

    def __init__(
        self,
        raw: Frames,
        hidden: Intervals,
        *,
        group: str | None = None,
        uncommitted: bool = False,
        reverted: bool = False,
        copy: bool = True,
    ) -> None:
        self._raw = raw
        self._group = group
        self._uncommitted = uncommitted
        self._show_reverted = reverted
        self._copy = copy
        self.hidden = hidden
        self._parts: dict[bytes, list[Record]] = {}
        self._buffered = 0

    def pieces(self, position: int, limit: int, end: int | None = None) -> Iterator[Piece]:
        """Iterate over what becomes visible in [position, limit), and below `end`.

        `position` and `limit` are frame boundaries; `end` may be anything.
        """
        for chunk in self._raw.chunks(position, limit, FRAMES, copy=self._copy):
            if end is not None and chunk and chunk[-1].lsn >= end:
                chunk = [frame for frame in chunk if frame.lsn < end]
                limit = 0
            if chunk:
                yield from self._visible(chunk)
            if not limit:
                return

    def _visible(self, chunk: list[Record]) -> Iterator[Piece]:
        self.hidden.refresh()
        if kinds_of(chunk) == RECORDS:
            end = chunk[-1].lsn + span(len(chunk[-1].payload))
            yield Piece(self.filtered(chunk), end, False)
        else:
            yield from self._sorted(chunk)

    def filtered(self, records: list[Record]) -> list[Record]:
        """Leave out other groups and what was reverted."""
        if self._group is not None:
            records = [r for r in records if r.group == self._group]
        if records and not self._show_reverted and self._touched(records):
            numbers = {name: number for number, name in enumerate(self._raw.names())}
            hides = self.hidden.hides
            records = [r for r in records if not hides(r.lsn, numbers[r.group])]
        return records

    def one_by_one(self, piece: Piece) -> Iterator[Record]:
        """Iterate over a piece's records, but for those that are reverted meanwhile.

        Looked at for each record: what is reverted is hidden at once, also half-way through what
        was read already.
        """
        if self._show_reverted:
            return iter(piece.records)
        return self.hidden.deliver(piece.records, partial(self._left, piece))

    def _left(self, piece: Piece, index: int) -> Iterator[Record]:
        """Go on with the rest of a piece after a revert has come."""
        left = piece.records[index:]
        while left:
            self.hidden.refresh()
            if piece.transaction is not None and self.hidden.voids(*piece.transaction):
                return
            left = self.filtered(left)
            while left and self.hidden.fresh():
                yield left.pop(0)

    def _touched(self, records: list[Record]) -> bool:
        return bool(self.hidden.intervals) and self.hidden.touches(
            min(records[0].lsn, records[-1].lsn), max(records[0].lsn, records[-1].lsn)
        )

    def _sorted(self, chunk: list[Record]) -> Iterator[Piece]:
        """Take a chunk apart that has frames of transactions in it."""
        run: list[Record] = []
        for frame in chunk:
            if frame.kind == DATA:
                run.append(frame)
            elif frame.kind == TXN_PART and self._uncommitted:
                run.append(bare(frame))
            elif frame.kind == TXN_PART:
                self._remember(frame)
            elif frame.kind == TXN_ABORT:
                self._forget(bytes(frame.payload[:PART_PREFIX_SIZE]))
            elif not self._uncommitted:
                yield Piece(self.filtered(run), frame.lsn, False)
                run = []
                yield from self._committed(frame)
        end = chunk[-1].lsn + span(len(chunk[-1].payload))
        yield Piece(self.filtered(run), end, False)

    def _remember(self, part: Record) -> None:
        key = bytes(part.payload[:PART_PREFIX_SIZE])
        if self._buffered < BUFFERED:
            self._parts.setdefault(key, []).append(bare(part))
            self._buffered += len(part.payload) + 128
        else:
            self._forget(key)

    def _forget(self, key: bytes) -> None:
        parts = self._parts.pop(key, ())
        self._buffered -= sum(len(part.payload) + PART_PREFIX_SIZE + 128 for part in parts)

    def _committed(self, commit: Record) -> Iterator[Piece]:
        """Give a transaction's parts, from memory or by reading them again."""
        end = commit.lsn + span(len(commit.payload))
        first, last, count = decode_commit(commit.payload)
        key = bytes(commit.payload[:PART_PREFIX_SIZE])
        known = self._parts.get(key, [])
        self._forget(key)
        reach = first, commit.lsn
        # Asked anew: whoever takes the pieces may have been busy since the chunk was read.
        self.hidden.refresh()
        if self._void(reach):
            return
        if len(known) == count:
            yield Piece(self.filtered(known), end, True, reach)
            return
        # Parts that are gone were needed by nobody any more.
        first = max(first, self._raw.start())
        limit = self._behind_parts(last, commit.lsn)
        held: list[Record] = []  # one piece is held back: the last one resumes behind the commit
        for chunk in self._raw.chunks(first, limit, 1 << TXN_PART, copy=self._copy):
            parts = [bare(part) for part in chunk if part.payload[:PART_PREFIX_SIZE] == key]
            if parts and held:
                # Looked at as late as this: whoever took the last piece may have met a revert.
                if self._void(reach):
                    return
                yield Piece(self.filtered(held), commit.lsn, True, reach)
            held = parts or held
        if not self._void(reach):
            yield Piece(self.filtered(held), end, True, reach)

    def _void(self, reach: tuple[int, int]) -> bool:
        return not self._show_reverted and self.hidden.voids(*reach)

    def _behind_parts(self, last: int, commit_lsn: int) -> int:
        """Return a frame boundary behind a transaction's parts: the next one, if it can be had."""
        if last < self._raw.start():
            return 0
        try:
            return last + span(len(self._raw.load(last, 1 << TXN_PART).payload))
        except NotFound:
            return commit_lsn  # The last part was needed by nobody; others may be.


def bare(part: Record) -> Record:
    """Return a transaction's part as its record: without the transaction's id."""
    return Record(part.lsn, part.group, part.seq, part.kind, part.payload[PART_PREFIX_SIZE:])
