"""Reading backwards: what a reader may see, the newest first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from logstore.format import span
from logstore.frames import DATA, TXN_COMMIT, TXN_PART, Record
from logstore.payloads import PART_PREFIX_SIZE, decode_commit
from logstore.visible import FRAMES, Frames, Intervals, Piece, View, bare


class FramesBack(Frames, Protocol):
    """Frames that can also be gone through from their end."""

    def chunks_back(
        self, limit: int, floor: int, kinds: int, *, copy: bool = True
    ) -> Iterator[list[Record]]:
        """Iterate over lists of frames in [floor, limit), the newest first."""


class BackwardView(View):
    """As a `View`, and from the end to the start; transactions are where their commits are."""

    def __init__(
        self,
        raw: FramesBack,
        hidden: Intervals,
        *,
        group: str | None,
        uncommitted: bool,
        reverted: bool,
        copy: bool,
    ) -> None:
        super().__init__(
            raw, hidden, group=group, uncommitted=uncommitted, reverted=reverted, copy=copy
        )
        self._back = raw

    def pieces_back(self, limit: int, floor: int, end: int | None) -> Iterator[Piece]:
        """Iterate over what is visible in [floor, limit), and below `end`, the newest first."""
        for chunk in self._back.chunks_back(limit, floor, FRAMES, copy=self._copy):
            if end is not None and chunk and chunk[0].lsn >= end:
                chunk = [frame for frame in chunk if frame.lsn < end]
            self.hidden.refresh()
            run: list[Record] = []
            for frame in chunk:
                if frame.kind == DATA:
                    run.append(frame)
                elif frame.kind == TXN_PART and self._uncommitted:
                    run.append(bare(frame))
                elif frame.kind == TXN_COMMIT and not self._uncommitted:
                    yield Piece(self.filtered(run), frame.lsn, False)
                    run = []
                    yield from self._committed_back(frame)
            yield Piece(self.filtered(run), floor, False)

    def _committed_back(self, commit: Record) -> Iterator[Piece]:
        first, last, _ = decode_commit(commit.payload)
        reach = first, commit.lsn
        key = bytes(commit.payload[:PART_PREFIX_SIZE])
        self.hidden.refresh()
        floor = max(first, self._raw.start())
        limit = self._behind_parts(last, commit.lsn)
        if self._void(reach) or limit <= floor:
            return
        for chunk in self._back.chunks_back(limit, floor, 1 << TXN_PART, copy=self._copy):
            parts = [bare(part) for part in chunk if part.payload[:PART_PREFIX_SIZE] == key]
            yield Piece(self.filtered(parts), commit.lsn + span(len(commit.payload)), True, reach)
