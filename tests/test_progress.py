"""Where a consumer resumes: what it is not done with comes again, transactions as a whole."""

from __future__ import annotations

import pytest

from logstore.errors import InvalidArgument
from logstore.frames import DATA, TXN_PART, Record
from logstore.progress import Progress
from logstore.visible import Piece


def data(lsn: int) -> Record:
    """Return a record of 40 bytes."""
    return Record(lsn, "default", 1, DATA, b"12345678")


def part(lsn: int) -> Record:
    return Record(lsn, "default", 1, TXN_PART, b"")


def deliver(progress: Progress, piece: Piece, *, finish: bool = True) -> None:
    for record in piece.records:
        progress.deliver(record, piece)
    if finish:
        progress.finish(piece.resume_lsn)


FIRST, SECOND = data(4096), data(4136)
PLAIN = Piece([FIRST, SECOND], 4200, whole=False)
PARTS = Piece([part(4000), part(4040)], 4300, whole=True)


def test_it_resumes_behind_the_record_that_was_advanced_past() -> None:
    progress = Progress(4096)
    deliver(progress, PLAIN)
    assert progress.position_lsn == 4096
    assert progress.advance(FIRST)
    assert progress.position_lsn == 4136


def test_it_never_goes_back() -> None:
    progress = Progress(4096)
    deliver(progress, PLAIN)
    assert progress.advance(SECOND)
    assert not progress.advance(FIRST)
    assert progress.position_lsn == 4176


def test_who_is_done_with_everything_is_at_the_end_of_the_piece() -> None:
    progress = Progress(4096)
    deliver(progress, PLAIN, finish=False)
    progress.advance(SECOND)
    assert progress.finish(4200)
    assert progress.position_lsn == 4200


def test_who_is_not_done_stays_however_much_follows_that_is_not_for_it() -> None:
    progress = Progress(4096)
    deliver(progress, PLAIN)
    progress.advance(FIRST)
    assert not progress.finish(9000)
    assert progress.position_lsn == 4136


def test_nothing_delivered_is_nothing_to_wait_for() -> None:
    progress = Progress(4096)
    assert progress.finish(8000)
    assert progress.position_lsn == 8000


def test_past_some_of_a_transaction_it_resumes_before_the_commit() -> None:
    progress = Progress(4096)
    deliver(progress, PLAIN)
    deliver(progress, PARTS)
    assert progress.advance(PARTS.records[0])
    assert progress.position_lsn == 4200


def test_past_all_of_a_transaction_it_resumes_behind_the_commit() -> None:
    progress = Progress(4096)
    deliver(progress, PLAIN)
    deliver(progress, PARTS, finish=False)
    assert progress.advance(PARTS.records[1])
    assert progress.position_lsn == 4300
    assert not progress.advance(PARTS.records[0])
    assert not progress.advance(FIRST)


def test_a_large_transaction_comes_in_pieces_and_only_the_last_record_ends_it() -> None:
    progress = Progress(4096)
    first = Piece([part(4100), part(4140)], 5000, whole=True)
    last = Piece([part(4180)], 5056, whole=True)
    deliver(progress, Piece([], 5000, whole=False))
    deliver(progress, first)
    progress.advance(first.records[-1])
    assert progress.position_lsn == 5000
    deliver(progress, last)
    progress.advance(last.records[-1])
    assert progress.position_lsn == 5056


@pytest.mark.parametrize("record", [data(9000), part(9000), part(4100)], ids=repr)
def test_what_was_not_delivered_cannot_be_advanced_past(record: Record) -> None:
    progress = Progress(4096)
    deliver(progress, PLAIN)
    with pytest.raises(InvalidArgument, match="not delivered"):
        progress.advance(record)
    assert progress.position_lsn == 4096
