"""How far a consumer is: from what it was given and what it is done with to where it resumes."""

from __future__ import annotations

from logstore.errors import InvalidArgument
from logstore.format import span
from logstore.frames import DATA, Record
from logstore.visible import Piece


class Progress:
    """Follow one pass over a log, in the order of delivery. Pure.

    Records are not delivered in the order of their LSNs: a transaction's come where its commit is.
    What grows in that order is where to resume once a record is done with.

    Attributes:
        position_lsn: Where to resume now. It only grows.
    """

    def __init__(self, position_lsn: int) -> None:
        self.position_lsn = position_lsn
        self._piece_lsn = position_lsn  # where to resume before the present piece
        self._newest_lsn = position_lsn  # where to resume behind the newest record delivered
        # For records of transactions not done with yet, by LSN, in the order of delivery.
        self._resume_lsns: dict[int, int] = {}

    def deliver(self, record: Record, piece: Piece) -> None:
        """Take note of a record that is about to be delivered."""
        if not piece.whole:
            self._newest_lsn = _end_of(record)
            return
        # Before its last record a transaction is delivered again as a whole.
        last = record.lsn == piece.records[-1].lsn
        self._newest_lsn = piece.resume_lsn if last else self._piece_lsn
        self._resume_lsns[record.lsn] = self._newest_lsn

    def finish(self, resume_lsn: int) -> bool:
        """Take note of the end of a piece; tell whether the position has moved by that.

        It does if everything delivered is done with: nobody needs what lies behind it, such as
        records of other groups.
        """
        self._piece_lsn = resume_lsn
        return self.position_lsn >= self._newest_lsn and self._move(resume_lsn)

    def advance(self, record: Record) -> bool:
        """Take note that everything up to a record is done with; tell whether that was news.

        Raises:
            InvalidArgument: The record was not delivered.
        """
        resume_lsn = self._resume_lsns.get(record.lsn)
        if resume_lsn is None and record.lsn < self.position_lsn:
            return False
        if resume_lsn is None and record.kind == DATA:
            resume_lsn = _end_of(record)
        if resume_lsn is None or resume_lsn > self._newest_lsn:
            raise InvalidArgument("this cursor has not delivered this record", lsn=record.lsn)
        return self._move(resume_lsn)

    def _move(self, resume_lsn: int) -> bool:
        if resume_lsn <= self.position_lsn:
            return False
        self.position_lsn = resume_lsn
        while self._resume_lsns:
            first = next(iter(self._resume_lsns))
            if self._resume_lsns[first] > resume_lsn:
                break
            del self._resume_lsns[first]
        return True


def _end_of(record: Record) -> int:
    return record.lsn + span(len(record.payload))
