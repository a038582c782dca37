"""Checkpoints, compaction and replay on a running log."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import logstore
from logstore.errors import Compacted, InvalidArgument, NotFound, NotWritten
from tests.conftest import Serve
from tests.model.parties import There
from tests.programs.party import Party
from tests.service import Service

pytestmark = pytest.mark.process

SEGMENT = 1 << 16
RECORD = b"x" * 64


@pytest.fixture
def small(serve: Serve) -> Service:
    """Return a service with small segments."""
    return serve(ring_size=1 << 18, segment_size=SEGMENT)


def seqs(records: object) -> list[int]:
    """Return the seqs of records."""
    return [record.seq for record in records]  # type: ignore[attr-defined]


def test_ranges_are_merged_and_survive_clean_and_unclean_restarts(small: Service) -> None:
    with small.attach() as log:
        group = log.group("orders")
        group.append_many([RECORD] * 10)
        group.checkpoint(ranges=[(7, 8), (2, 3)])
        group.checkpoint(ranges=[(4, 4), (3, 5)])
        group.checkpoint_commands(9, done=[0, 2], total=3)
        log.sync()
        assert group.checkpoints().ranges == ((2, 5), (7, 8))
        assert group.checkpoints().partial == {9: (((0, 0), (2, 2)), 3)}
    small.stop()
    small.start()
    with small.attach() as log:
        group = log.group("orders")
        group.checkpoint_commands(9, done=[1], total=3)
        log.sync()
        assert group.checkpoints().ranges == ((2, 5), (7, 9))
    small.kill_all()
    small.start()
    with small.attach() as log:
        group = log.group("orders")
        assert group.checkpoints().ranges == ((2, 5), (7, 9))
        assert group.checkpoints().partial == {}
        status = group.status()
        assert (status.appended, status.checkpointed, status.pending) == (10, 0, 3)


def test_all_commands_of_a_transaction_done_count_as_its_records_checkpointed(
    small: Service,
) -> None:
    with small.attach() as log:
        with log.transaction("orders") as txn:
            for _ in range(3):
                txn.append(RECORD)
            txn.append(RECORD, group="billing")
        group = log.group("orders")
        group.checkpoint_commands(txn, done=[0, 1], total=2)
        log.sync()
        assert group.checkpoints().ranges == ((1, 3),)
        assert log.group("billing").checkpoints().ranges == ()


def test_compaction_drops_what_is_checkpointed_also_from_the_middle(small: Service) -> None:
    with small.attach() as log:
        group = log.group("orders")
        for _ in range(60):
            group.append_many([RECORD] * 100)
        log.sync()
        before = log.status().segments
        group.checkpoint(ranges=[(1500, 4500)])
        log.sync()
        assert log.compact(timeout=10) > 0
        assert before - 6 < log.status().segments < before
        with pytest.raises(Compacted):
            group.load(3000)
        kept = seqs(log.read(group="orders"))
        assert kept[0] == 1
        assert kept[-1] == 6000
        assert set(range(1, 1500)) | set(range(4501, 6001)) <= set(kept)
        group.checkpoint(up_to=6000)
        log.sync()
        log.compact(timeout=10)
        assert log.watermarks().start > 4096
        with pytest.raises(NotFound):
            log.read(4096)
    small.stop()
    small.start()
    with small.attach() as log:
        assert log.group("orders").append(RECORD) > 0
        assert log.group("orders").status().appended == 6001


def test_a_reader_an_open_transaction_and_a_cursor_keep_their_segments(small: Service) -> None:
    with small.attach() as log:
        group = log.group("orders")
        txn = log.transaction("orders")
        txn.append(RECORD)
        for _ in range(20):
            group.append_many([RECORD] * 100)
        group.checkpoint(up_to=group.status().appended)
        log.sync()
        assert log.compact(timeout=10) == 0
        # Each one begins before the other ends: what nobody needs may be dropped at any time.
        reader = iter(log.read())
        next(reader)
        txn.abort()
        assert log.compact(timeout=10) == 0
        with log.cursor("billing", start="oldest"):
            del reader
            assert log.compact(timeout=10) == 0
        log.delete_cursor("billing")
        log.sync()
        assert log.compact(timeout=10) > 0


@pytest.mark.parametrize("killed", [False, True], ids=["forgotten", "of the dead"])
def test_a_transaction_that_is_over_keeps_nothing_though_the_log_never_comes_to_rest(
    killed: bool, small: Service
) -> None:
    there = There(small.name)
    try:
        with small.attach() as log:
            group = log.group("orders")
            txn = log.transaction("orders")
            if killed:
                there.do(Party.begin, 1, "orders")
                there.do(Party.part, 1, RECORD, None)
            else:
                txn.append(RECORD)
            for _ in range(20):
                group.append_many([RECORD] * 100)
            group.checkpoint(up_to=group.status().appended)
            log.sync()
            # Always something is on its way, as under load: all is durable at no moment.
            with log.reserve(8) as first:
                there.kill()
                del txn
                log.compact(timeout=10)
                assert log.watermarks().start == 4096  # too early to tell
                second = log.reserve(8)
            with second:
                log.wait(first.lsn)
                log.compact(timeout=10)
                assert log.watermarks().start > 4096
    finally:
        there.kill()


@pytest.mark.parametrize("far", [False, True], ids=["in one segment", "over several"])
def test_parts_whose_commit_is_reverted_keep_no_segment_though_they_lie_before_the_place(
    far: bool, small: Service
) -> None:
    with small.attach() as log:
        group = log.group("orders")
        txn = log.transaction("orders")
        txn.append(RECORD)
        if far:
            for _ in range(10):
                group.append_many([RECORD] * 150)
        others = group.status().appended
        place = log.append(b"mistake")
        txn.append(RECORD)
        txn.commit()
        for _ in range(20):
            log.append_many([RECORD] * 150)
        log.revert(place)
        if far:
            group.checkpoint(ranges=[(2, others)])
        group.append(b"after")
        for _ in range(6):
            log.append(bytes(SEGMENT // 2), durability="synced")
        log.compact(timeout=10)
        assert log.watermarks().start > txn.id
        assert [r.payload for r in group.read()] == [b"after"]


def test_replay_gives_what_is_committed_kept_and_not_checkpointed_in_commit_order(
    small: Service,
) -> None:
    with small.attach() as log:
        group = log.group("orders")
        group.append_many([b"1", b"2", b"3"])
        late = log.transaction("orders")
        late.append(b"4 late")
        group.append(b"5")
        gone = log.transaction("orders")
        gone.append(b"6 gone")
        gone.abort()
        late.commit()
        group.checkpoint(ranges=[(2, 2)])
        mistake = group.append(b"7 mistake")
        log.revert(mistake)
        log.sync()
        told: list[object] = []
        applied: list[bytes] = []
        count = log.replay(
            "orders", lambda r: applied.append(bytes(r.payload)), on_checkpoints=told.append
        )
        assert applied == [b"1", b"3", b"5", b"4 late"]
        assert count == 4
        assert len(told) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda group: group.checkpoint(),
        lambda group: group.checkpoint(up_to=4),
        lambda group: group.checkpoint(ranges=[(3, 2)]),
        lambda group: group.checkpoint(ranges=[(0, 2)]),
        lambda group: group.checkpoint(ranges=[3]),
        lambda group: group.checkpoint_commands(1, done=[3], total=3),
        lambda group: group.checkpoint_commands(9, done=[0], total=1),
        lambda group: group.checkpoint_commands(1, done=[0], total=0),
        lambda group: group.load(0),
    ],
    ids=["nothing", "beyond", "backwards", "from 0", "no pair", "index", "seq", "total", "load"],
)
def test_a_wrong_checkpoint_is_refused_and_changes_nothing(
    wrong: Callable[[logstore.Group], object], small: Service
) -> None:
    with small.attach() as log:
        group = log.group("orders")
        group.append_many([RECORD] * 3)
        head = log.watermarks().reserved
        with pytest.raises(InvalidArgument):
            wrong(group)
        assert log.watermarks().reserved <= head + 48  # but for a mark


def test_three_ways_of_not_being_there_are_three_errors(small: Service) -> None:
    with small.attach() as log:
        group = log.group("orders")
        for _ in range(20):
            group.append_many([RECORD] * 100)
        group.checkpoint(up_to=1500)
        mistake = group.append(b"mistake")
        log.sync()
        log.compact(timeout=10)
        log.revert(mistake)
        with pytest.raises(Compacted):
            group.load(1)
        with pytest.raises(logstore.RevertedError):
            group.load(2001)
        with pytest.raises(NotWritten):
            group.load(2002)
        with pytest.raises(InvalidArgument):
            group.revert(1000)


def test_retention_drops_the_oldest_though_it_is_needed(serve: Serve) -> None:
    service = serve(ring_size=1 << 18, segment_size=SEGMENT, retain_bytes=4 * SEGMENT)
    with service.attach() as log:
        for _ in range(100):
            log.append_many([RECORD] * 100, durability="synced")
        log.compact(timeout=10)
        assert log.status().segments <= 7
        assert log.watermarks().start > 4096


@pytest.mark.parametrize("one_group", [False, True])
def test_a_revert_knows_a_checkpoint_that_was_appended_just_before(
    small: Service, one_group: bool
) -> None:
    with small.attach() as log:
        orders = log.group("orders")
        lsns = orders.append_many([RECORD] * 30, durability="written")
        for seq, lsn in enumerate(lsns, 1):
            orders.checkpoint(ranges=[(seq, seq)])
            with pytest.raises(InvalidArgument):
                orders.revert(seq) if one_group else log.revert(lsn)


def test_a_reader_that_was_overtaken_by_compaction_begins_where_the_log_does(
    small: Service,
) -> None:
    with small.attach() as log:
        group = log.group("orders")
        last = [group.append_many([RECORD] * 500) for _ in range(4)][-1]
        log.sync()
        forwards, backwards = log.read(), log.read(reverse=True)
        group.checkpoint(up_to=1500)
        log.sync()
        assert log.compact() > 0
        expected = [record.lsn for record in log.read()]
        assert expected[-1] == last[-1]
        assert [record.lsn for record in forwards] == expected
        assert [record.lsn for record in backwards] == expected[::-1]
