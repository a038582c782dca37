"""Loading single records of a running log while compaction, reverts and rotation go on."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import logstore
from logstore.errors import Closed, Compacted, InvalidLSN, NotFound, NotWritten, RevertedError
from logstore.ring._ring import LAYOUT
from logstore.segments.loading import KEPT_OPEN
from tests.conftest import Serve

pytestmark = pytest.mark.process

RECORD = b"x" * 64


@pytest.fixture
def log(serve: Serve) -> Iterator[logstore.Log]:
    """Return a log whose ring holds less than its files, in small segments."""
    with serve(ring_size=1 << 18, segment_size=1 << 16).attach() as log:
        yield log


def filled(log: logstore.Log, batches: int = 60) -> tuple[logstore.Group, list[int]]:
    """Append batches of a hundred records to a group; return it and all LSNs."""
    group = log.group("orders")
    lsns = [lsn for _ in range(batches) for lsn in group.append_many([RECORD] * 100)]
    log.sync()
    return group, lsns


def dropped(log: logstore.Log, group: logstore.Group, lsns: list[int]) -> list[int]:
    """Checkpoint the middle and compact; return the indexes of records that are gone by that."""
    first, last = len(lsns) // 4, 3 * len(lsns) // 4
    group.checkpoint(ranges=[(first, last)])
    log.sync()
    assert log.compact(timeout=10) > 0
    there = {record.lsn for record in log.read(group="orders")}
    return [index for index, lsn in enumerate(lsns) if lsn not in there]


def test_a_dropped_record_is_compacted_although_it_was_loaded_before(log: logstore.Log) -> None:
    group, lsns = filled(log)
    for index in range(0, len(lsns), 10):
        assert log.load(lsns[index]).seq == group.load(index + 1).seq == index + 1
    gone = dropped(log, group, lsns)
    assert gone[0] > 0
    assert gone[-1] < len(lsns) - 1
    for index in gone[::10]:
        with pytest.raises(Compacted):
            log.load(lsns[index])
        with pytest.raises(Compacted):
            group.load(index + 1)
    for index in (0, gone[0] - 1, gone[-1] + 1, len(lsns) - 1):
        assert log.load(lsns[index]).seq == group.load(index + 1).seq == index + 1


def test_a_dropped_record_is_compacted_although_the_ring_still_holds_it(serve: Serve) -> None:
    with serve(ring_size=1 << 20, segment_size=1 << 14).attach() as log:
        group, lsns = filled(log, 20)
        gone = dropped(log, group, lsns)
        assert len(gone) > 100
        for index in gone[::10]:
            with pytest.raises(Compacted):
                log.load(lsns[index])
        assert log.load(lsns[-1]).seq == len(lsns)


def test_compacted_reverted_and_never_written_stay_three_things(log: logstore.Log) -> None:
    group, lsns = filled(log)
    for index in range(0, len(lsns), 7):
        group.load(index + 1)
        log.load(lsns[index])
    mistakes = group.append_many([RECORD] * 10)
    assert group.load(len(lsns) + 1).lsn == mistakes[0]
    log.revert(mistakes[0])
    gone = dropped(log, group, lsns)[0]
    for _ in range(2):
        with pytest.raises(Compacted):
            group.load(gone + 1)
        with pytest.raises(RevertedError):
            group.load(len(lsns) + 5)
        with pytest.raises(NotWritten):
            group.load(len(lsns) + 11)
        with pytest.raises(Compacted):
            log.load(lsns[gone])
        with pytest.raises(RevertedError):
            log.load(mistakes[4])
        with pytest.raises(InvalidLSN):
            log.load(log.watermarks().reserved)


def test_what_is_plain_takes_the_short_way_and_what_is_not_the_long_one(log: logstore.Log) -> None:
    group, lsns = filled(log)
    with log.transaction("orders") as transaction:
        part = transaction.append(b"a part")
    log.sync()
    quick, quick_seq = log._reading.raw.quick, log._reading.raw.quick_seq
    assert quick(lsns[10]) is None, "nothing is open yet"
    assert quick_seq(group.id, 11) is None, "nothing is known yet"
    record = log.load(lsns[10])
    assert group.load(11) == group.load(11) == record
    assert quick(lsns[10]) == quick_seq(group.id, 11) == record
    assert quick(lsns[11]) == quick_seq(group.id, 12) == log.load(lsns[11])
    assert quick(part) is quick_seq(group.id, len(lsns) + 1) is None
    assert log.load(part).payload == group.load(len(lsns) + 1).payload == b"a part"
    assert quick(log.watermarks().written) is None
    log.revert(lsns[-1])
    assert quick(lsns[10]) is quick_seq(group.id, 11) is None
    assert log.load(lsns[10]) == group.load(11) == record
    with pytest.raises(RevertedError):
        group.load(len(lsns))


def test_what_lies_before_the_start_is_gone_although_its_segment_is_there(
    log: logstore.Log,
) -> None:
    _, lsns = filled(log)
    assert log.load(lsns[5]) == log._reading.raw.quick(lsns[5])
    log._ring.store(LAYOUT["start"], lsns[6])  # as compaction does before it removes anything
    with pytest.raises(NotFound):
        log.load(lsns[5])
    assert log.load(lsns[6]).seq == 7


def test_a_closed_log_loads_nothing_although_its_segments_were_open(log: logstore.Log) -> None:
    group, lsns = filled(log)
    assert log.load(lsns[5]) == group.load(6)
    log.close()
    for load, place in ((log.load, lsns[5]), (group.load, 6)):
        with pytest.raises(Closed):
            load(place)


def test_a_forked_child_loads_with_files_of_its_own(log: logstore.Log) -> None:
    group, lsns = filled(log)
    assert log.load(lsns[5]) == group.load(6)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            found = log.load(lsns[5]) == group.load(6), log._reader is not None
            os.write(writing, repr(found).encode())
            log.close()
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        assert answer.read() == "(True, True)"
    assert os.waitpid(child, 0) == (child, 0)
    assert log.load(lsns[6]) == group.load(7)


def test_many_segments_take_turns_in_being_open(serve: Serve) -> None:
    with serve(ring_size=1 << 16, segment_size=1 << 14).attach() as log:
        group, lsns = filled(log, 80)
        assert log.status().segments > 2 * KEPT_OPEN
        order = [*range(0, len(lsns), 13), *range(len(lsns) - 1, 0, -101)]
        for index in order:
            for _ in range(2):
                assert log.load(lsns[index]).seq == group.load(index + 1).seq == index + 1


def test_threads_load_what_others_append(log: logstore.Log) -> None:
    group, lsns = filled(log, 10)
    done = threading.Event()

    def load(step: int) -> int:
        count = 0
        while not done.is_set():
            at = (count * step) % len(lsns)
            assert log.load(lsns[at]).seq == group.load(at + 1).seq == at + 1
            count += 1
        return count

    with ThreadPoolExecutor(3) as pool:
        counts = [pool.submit(load, step) for step in (1, 7, len(lsns) - 1)]
        try:
            for _ in range(50):
                lsns.extend(group.append_many([RECORD] * 100))
                assert group.load(len(lsns)).lsn == lsns[-1]
        finally:
            done.set()
        assert all(count.result(timeout=30) for count in counts)
