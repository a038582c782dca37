"""What a survey says of transactions: nothing of those that begin and commit in its range."""

from __future__ import annotations

import struct
from array import array

from logstore import frames
from logstore.frames import ABORT, CHECKPOINT, DATA, MARK, REVERT, TXN_ABORT, TXN_COMMIT, TXN_PART
from tests.frames.reference import FIRST_LSN, SALT, Frame, encode_all, lay_out

OLD = 2048
"""A transaction that began before the range."""


class Log:
    """Frames that follow each other, with their places and seqs."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.seq = 0
        self.end_lsn = FIRST_LSN

    def put(self, kind: int, payload: bytes = b"", *, seq: int = 0, group: int = 1) -> int:
        self.frames.append(Frame(payload, kind=kind, seq=seq, group=group))
        lsn = self.end_lsn
        self.end_lsn += self.frames[-1].span
        return lsn

    def part(self, transaction: int = 0, *, group: int = 1) -> int:
        """Append a part; of a new transaction if none is given. Return the transaction."""
        self.seq += 1
        number = transaction or self.end_lsn
        self.put(TXN_PART, struct.pack("<Q", number), seq=self.seq, group=group)
        return number

    def commit(self, transaction: int) -> int:
        return self.put(TXN_COMMIT, struct.pack("<QQQ", transaction, transaction, 1))

    def survey(self) -> frames.Survey:
        survey = frames.Survey(FIRST_LSN, SALT)
        survey.feed(encode_all(lay_out(self.frames)), 1 << 40)
        assert survey.end_lsn == self.end_lsn
        return survey

    def told(self) -> list[tuple[object, ...]]:
        """Return parts as (transaction, group, begun, seqs), and of other frames LSN and kind."""
        effects = self.survey().effects()
        assert effects is not None
        said: list[tuple[object, ...]] = []
        for effect in effects:
            if len(effect) == 5:
                said.append(effect[:2])
            else:
                flat = array("Q", effect[5])
                pairs = list(zip(flat[0::2], flat[1::2], strict=True))
                said.append((effect[0], effect[2], effect[4], pairs))
        return said


def test_of_many_small_transactions_that_commit_nothing_is_told() -> None:
    log = Log()
    for number in range(1000):
        one = log.part()
        other = log.part(group=number % 5)
        log.part(one)
        log.commit(other)
        log.put(DATA, b"between", seq=7)
        log.put(MARK)
        log.commit(one)
    survey = log.survey()
    assert survey.effects() == []
    assert survey.record_count == 4000
    assert len(survey.marks()) == 1000
    assert len(survey.system()) == 3000


def test_an_open_transaction_is_told_with_the_ranges_of_its_seqs() -> None:
    log = Log()
    one = log.part()
    log.part(one)
    other = log.part()
    log.part(one)
    log.part(one, group=2)
    assert sorted(log.told()) == [
        (one, 1, True, [(1, 2), (4, 4)]),
        (one, 2, True, [(5, 5)]),
        (other, 1, True, [(3, 3)]),
    ]


def test_what_began_before_is_told_before_the_frame_that_ends_it() -> None:
    log = Log()
    log.part(OLD)
    checkpoint = log.put(CHECKPOINT)
    log.part(OLD)
    commit = log.commit(OLD)
    aborted = log.part()
    abort = log.put(TXN_ABORT, struct.pack("<Q", aborted))
    late = log.commit(aborted)
    nothing = log.put(ABORT, seq=9)
    assert log.told() == [
        (checkpoint, CHECKPOINT),
        (OLD, 1, False, [(1, 2)]),
        (commit, TXN_COMMIT),
        (aborted, 1, True, [(3, 3)]),
        (abort, TXN_ABORT),
        (late, TXN_COMMIT),
        (nothing, ABORT),
    ]


def test_a_revert_ends_what_is_open() -> None:
    log = Log()
    one = log.part()
    revert = log.put(REVERT)
    log.part(one)
    commit = log.commit(one)
    assert log.told() == [
        (one, 1, True, [(1, 1)]),
        (revert, REVERT),
        (one, 1, False, [(2, 2)]),
        (commit, TXN_COMMIT),
    ]


def test_a_commit_that_makes_no_sense_is_told() -> None:
    for payload in (b"", struct.pack("<QQQ", FIRST_LSN, FIRST_LSN, 0), b"x" * 24, b"x" * 25):
        log = Log()
        log.part()
        commit = log.put(TXN_COMMIT, payload)
        assert (commit, TXN_COMMIT) in log.told()


def test_a_part_that_makes_no_sense_leaves_the_judgement_to_others() -> None:
    for payload, seq in ((b"short", 1), (bytes(8), 1), (struct.pack("<Q", 4), 1)):
        log = Log()
        log.put(TXN_PART, payload, seq=seq)
        assert log.survey().effects() is None
    log = Log()
    one = log.part()
    log.put(TXN_PART, struct.pack("<Q", one), seq=1)
    assert log.survey().effects() is None


def test_points_that_were_listed_are_left_out() -> None:
    log = Log()
    for seq in range(1, 400):
        log.put(DATA, seq=seq)
    survey = log.survey()
    every = survey.points()
    for start in range(10):
        assert survey.points(start) == every[start:]
