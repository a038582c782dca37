"""What keeps a segment, case by case."""

from __future__ import annotations

from dataclasses import replace

import pytest

from logstore.payloads import EVERY_GROUP
from logstore.segments.fold import catalog_at
from logstore.segments.footer import read_footer
from logstore.segments.needed import Hold, Looks, Pin, Reason, Verdict, compaction, judge
from logstore.segments.search import Finder
from logstore.segments.segment import segment_name
from logstore.segments.voided import VoidedParts
from tests.memory_directory import MemoryDirectory
from tests.segments.catalog_model import LogModel
from tests.segments.small_log import UUID, SmallLog


def _model() -> LogModel:
    log = SmallLog(MemoryDirectory())
    log.begin()
    return LogModel(log)


def _judge(model: LogModel, *pins: Pin) -> list[Verdict]:
    log = model.log
    names = [segment_name(one.base_lsn) for one in log.manifest.sealed]
    footers = [footer for name in names if (footer := read_footer(log.directory, name))]
    finder = Finder(log.directory, UUID, lambda: log.end_lsn)
    catalog = catalog_at(log.directory, UUID, log.end_lsn)
    looks = Looks(finder.first_seq_from, VoidedParts(log.directory, UUID).between)
    return judge(footers, catalog, pins, looks)


def _holds(model: LogModel, *pins: Pin) -> list[tuple[Hold, ...]]:
    return [verdict.holds for verdict in _judge(model, *pins)]


def _three(model: LogModel) -> None:
    for _ in range(3):
        model.data(0)
        model.data(0)
        model.rotate(0)


NEWEST = Hold(Reason.NEWEST)


def test_a_segment_in_the_middle_may_go() -> None:
    model = _model()
    _three(model)
    model.checkpoint(0, ((3, 4),))
    verdicts = _judge(model)
    assert [verdict.holds for verdict in verdicts] == [
        (Hold(Reason.RECORDS, group=0, seq=1),),
        (),
        (Hold(Reason.RECORDS, group=0, seq=5), NEWEST),
    ]
    done = compaction(model.log.manifest, verdicts)
    sealed = model.log.manifest.sealed
    assert done.dropped == sealed[1:2]
    assert done.manifest == replace(model.log.manifest, sealed=(sealed[0], sealed[2]))
    assert done.manifest.start_lsn == 4096


def test_the_log_starts_at_the_first_segment_that_stays() -> None:
    model = _model()
    _three(model)
    model.checkpoint(0, ((1, 6),))
    done = compaction(model.log.manifest, _judge(model))
    assert len(done.dropped) == 2
    assert done.manifest.start_lsn == model.log.manifest.sealed[2].base_lsn
    assert compaction(done.manifest, []).manifest == done.manifest


def test_one_record_that_is_not_checkpointed_is_enough() -> None:
    model = _model()
    _three(model)
    model.checkpoint(0, ((1, 1), (3, 6)))
    assert _holds(model)[0] == (Hold(Reason.RECORDS, group=0, seq=2),)


def test_a_pin_holds_every_segment_that_ends_behind_it() -> None:
    model = _model()
    _three(model)
    model.checkpoint(0, ((1, 6),))
    first, second, _ = model.log.manifest.sealed
    pin = Pin(first.end_lsn, "cursor billing")
    assert _holds(model, pin)[0] == ()
    assert _holds(model, pin)[1] == (Hold(Reason.PIN, lsn=second.base_lsn, who="cursor billing"),)
    lower = Pin(first.end_lsn - 8, "reader")
    assert _holds(model, lower)[0] == (Hold(Reason.PIN, lsn=lower.lsn, who="reader"),)


def test_an_open_transaction_holds_its_parts_even_if_they_are_checkpointed() -> None:
    model = _model()
    number = model.part(0, 1)
    model.rotate(0)
    model.data(0)
    model.rotate(0)
    model.checkpoint(1, ((1, 1),))
    assert _holds(model)[0] == (Hold(Reason.OPEN_TRANSACTION, lsn=number),)
    model.commit(number)
    assert _holds(model)[0] == ()


@pytest.mark.parametrize("sealed", [False, True])
def test_parts_that_a_reader_will_see_at_a_later_commit_are_kept(sealed: bool) -> None:
    model = _model()
    number = model.part(0, 1)
    model.rotate(0)
    pin = Pin(model.data(0), "cursor billing")
    model.rotate(0)
    model.data(0)
    model.rotate(0)
    model.commit(number)
    if sealed:
        model.data(0)
        model.rotate(0)
    model.checkpoint(1, ((1, 1),))
    assert _holds(model)[0] == ()
    assert _holds(model, pin)[0] == (Hold(Reason.UNREAD, lsn=number, who=pin.who),)
    assert _holds(model, pin._replace(reads=False))[0] == ()
    assert _holds(model, pin._replace(lsn=model.commits[number] + 8))[0] == ()


def test_an_aborted_transaction_holds_nothing() -> None:
    model = _model()
    number = model.part(0, 1)
    model.rotate(0)
    model.data(0)
    model.rotate(0)
    model.abort(number)
    assert _holds(model)[0] == ()


def test_a_commit_is_held_as_long_as_the_parts_that_it_makes_visible() -> None:
    model = _model()
    number = model.part(0, 1)
    model.rotate(0)
    model.data(0)
    model.commit(number)
    model.rotate(0)
    model.data(0)
    model.rotate(0)
    model.checkpoint(0, ((1, 2),))
    part = Hold(Reason.RECORDS, group=1, seq=1)
    assert _holds(model) == [(part,), (Hold(Reason.COMMIT, lsn=number),), (NEWEST,)]
    model.checkpoint(1, ((1, 1),))
    assert _holds(model) == [(), (), (NEWEST,)]


def test_reverted_records_are_not_needed_but_the_newest_revert_is() -> None:
    model = _model()
    model.data(0)
    from_lsn = model.data(0)
    model.data(1)
    model.rotate(0)
    model.data(0)
    model.revert(EVERY_GROUP, from_lsn)
    model.rotate(0)
    model.data(0)
    model.rotate(0)
    revert = Hold(Reason.REVERT, lsn=model.newest_revert_lsn)
    first = Hold(Reason.RECORDS, group=0, seq=1)
    last = (Hold(Reason.RECORDS, group=0, seq=4), NEWEST)
    assert _holds(model) == [(first,), (revert,), last]
    model.checkpoint(0, ((1, 1),))
    assert _holds(model) == [(), (revert,), last]


def test_a_revert_of_one_group_hides_only_its_records() -> None:
    model = _model()
    from_lsn = model.data(0)
    model.data(1)
    model.revert(1, from_lsn)
    model.rotate(0)
    model.data(0)
    model.rotate(0)
    assert _holds(model)[0][0] == Hold(Reason.RECORDS, group=0, seq=1)
    model.checkpoint(0, ((1, 1),))
    assert _holds(model)[0] == (Hold(Reason.REVERT, lsn=model.newest_revert_lsn),)


def test_parts_before_the_place_reverted_to_are_not_needed_if_their_commit_is_hidden() -> None:
    model = _model()
    number = model.part(0, 1)
    from_lsn = model.data(0)
    model.part(number, 1)
    model.commit(number)
    model.rotate(0)
    model.data(0)
    model.rotate(0)
    assert _holds(model)[0] == (
        Hold(Reason.RECORDS, group=0, seq=1),
        Hold(Reason.RECORDS, group=1, seq=1),
    )
    model.revert(EVERY_GROUP, from_lsn)
    assert _holds(model)[0] == ()


def test_parts_of_earlier_segments_are_not_needed_if_their_commit_is_hidden() -> None:
    model = _model()
    kept = model.data(0)
    number = model.part(0, 1)
    model.rotate(0)
    from_lsn = model.data(0)
    model.commit(number)
    model.rotate(0)
    model.data(0)
    model.rotate(0)
    model.revert(EVERY_GROUP, from_lsn)
    # The segment with the commit tells of the parts that they are void.
    first, second, _ = _holds(model)
    assert first == (Hold(Reason.RECORDS, group=0, seq=1),)
    assert second == (Hold(Reason.COMMIT, lsn=number),)
    assert kept < number
    model.checkpoint(0, ((1, 1),))
    assert _holds(model) == [(), (), (NEWEST,)]


def test_parts_are_not_needed_if_their_commit_in_the_active_segment_is_hidden() -> None:
    model = _model()
    number = model.part(0, 1)
    model.rotate(0)
    model.data(0)
    model.rotate(0)
    from_lsn = model.data(0)
    model.commit(number)
    assert _holds(model)[0] == (Hold(Reason.RECORDS, group=1, seq=1),)
    model.revert(EVERY_GROUP, from_lsn)
    assert _holds(model)[0] == ()


def test_a_revert_of_a_group_leaves_the_parts_of_other_groups_needed() -> None:
    model = _model()
    number = model.part(0, 1)
    from_lsn = model.part(number, 0)
    model.commit(number)
    model.revert(0, from_lsn)
    model.rotate(0)
    model.data(0)
    model.rotate(0)
    assert _holds(model)[0][0] == Hold(Reason.RECORDS, group=1, seq=1)
