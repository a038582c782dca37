"""The rules of the catalog one by one, and footers whose sections make no sense."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstore.errors import Corruption
from logstore.format import Kind
from logstore.payloads import (
    EVERY_GROUP,
    CheckpointCommands,
    Commit,
    Interval,
    encode_checkpoint,
    encode_commit,
)
from logstore.segments.catalog import Catalog
from logstore.segments.catalog_sections import catalog_of, committed_in, sections_of
from logstore.segments.fold import catalog_at
from logstore.segments.footer import CHECKPOINTS, REVERTS, TRANSACTIONS, Footer, Section
from logstore.segments.recover import recover
from tests.memory_directory import MemoryDirectory
from tests.segments.catalog_model import LogModel, facts_of
from tests.segments.small_log import UUID, SmallLog


def _model() -> LogModel:
    log = SmallLog(MemoryDirectory())
    log.begin()
    return LogModel(log)


def _at_end(model: LogModel) -> Catalog:
    return catalog_at(model.log.directory, UUID, model.log.end_lsn)


def _commands(*done: tuple[int, int]) -> bytes:
    return encode_checkpoint(CheckpointCommands(7, 3, done, ((7, 9),)))


def test_the_last_command_checkpoints_what_the_commands_cover() -> None:
    catalog = Catalog()
    catalog.apply(4096, Kind.CHECKPOINT, 1, 0, _commands((2, 2)))
    catalog.apply(4200, Kind.CHECKPOINT, 1, 0, _commands((0, 0)))
    assert list(catalog.partial[1, 7].done) == [(0, 0), (2, 2)]
    assert not catalog.checkpointed(1)
    catalog.apply(4304, Kind.CHECKPOINT, 1, 0, _commands((1, 2)))
    assert list(catalog.checkpointed(1)) == [(7, 9)]
    assert catalog.partial == {}
    # The same said again begins nothing anew.
    catalog.apply(4408, Kind.CHECKPOINT, 1, 0, _commands((0, 1)))
    assert catalog.partial == {}


@pytest.mark.parametrize(
    ("transaction", "commit_lsn", "void"),
    [
        (4096, 8000, False),
        (9000, 9104, False),
        (8000, 9000, True),
        (4096, 8400, True),
        (8200, 8304, True),
    ],
    ids=["before", "after", "across the frame", "hidden commit", "hidden wholly"],
)
def test_a_transaction_is_void_across_a_revert_or_with_its_commit_hidden(
    transaction: int, commit_lsn: int, void: bool
) -> None:
    catalog = Catalog(hidden=(Interval(EVERY_GROUP, 8096, 8800),), newest_revert_lsn=8800)
    assert catalog.is_void(transaction, commit_lsn) is void
    assert catalog.is_hidden(8096, 3)
    assert not catalog.is_hidden(8800, 3)
    assert catalog.hidden_from(8792) == catalog.hidden
    assert catalog.hidden_from(8800) == ()


def test_a_revert_of_one_group_hides_no_commit() -> None:
    catalog = Catalog(hidden=(Interval(1, 8096, 8800),), newest_revert_lsn=8800)
    assert not catalog.is_void(4096, 8400)
    assert catalog.is_void(4096, 8808)


def test_what_is_open_at_the_end_of_an_epoch_comes_to_nothing() -> None:
    model = _model()
    model.part(0, 1)
    model.rotate(0)
    assert len(_at_end(model).open) == 1
    model.data(1)
    model.rotate(1)
    assert _at_end(model).open == {}
    assert list(_at_end(model).checkpointed(1)) == [(1, 1)]


def test_recovery_carries_the_catalog_into_the_footers_it_makes() -> None:
    model = _model()
    model.part(0, 1)
    model.checkpoint(0, ((5, 6),))
    model.abandon(1, 3)
    model.rotate(0)
    model.data(1)
    model.revert(1, 4096)
    before = model.facts()
    recovered = recover(model.log.directory)
    assert facts_of(catalog_of(recovered.footer)) == before


def test_a_commit_of_an_earlier_segments_transaction_is_listed_and_others_are_not() -> None:
    model = _model()
    old = model.part(0, 1)
    model.rotate(0)
    model.part(old, 0)
    new = model.part(0, 0)
    model.commit(new)
    model.commit(old)
    model.log.seal()
    assert model.log.footer is not None
    (one,) = committed_in(model.log.footer)
    assert (one.id, one.commit_lsn, one.part_count) == (old, model.commits[old], 2)
    assert {group: list(seqs) for group, seqs in one.seqs.items()} == {0: [(1, 1)], 1: [(1, 1)]}
    model.log.begin()
    model.data(0)
    model.log.seal()
    assert committed_in(model.log.footer) == ()


def test_what_was_abandoned_at_the_end_of_a_segment_is_known_from_the_next() -> None:
    model = _model()
    model.data(1)
    model.abandon(1, 5)
    model.rotate(0)
    model.data(1)
    assert list(_at_end(model).checkpointed(1)) == [(2, 6)]


def test_only_checkpoint_frames_tell_of_checkpoints_and_footers_carry_what_they_told() -> None:
    model = _model()
    model.data(0)
    model.commands(0, CheckpointCommands(1, 1, ((0, 0),), ((1, 1),)))
    model.checkpoint(1, ((3, 4), (1, 1)))
    model.abandon(0, 2)
    model.abort(model.part(0, 1))
    model.part(0, 1)
    model.revert(EVERY_GROUP, 4096)
    for _ in range(2):
        model.rotate(1)
        assert _at_end(model).told == {0: 1, 1: 4}
        model.data(0)


def test_what_a_checkpoint_told_is_carried_also_if_the_footer_implies_its_seqs() -> None:
    model = _model()
    model.abandon(1, 3)
    model.data(1)
    model.log.seal()
    assert model.log.footer is not None
    assert model.log.footer.others == ()
    model = _model()
    model.abandon(1, 3)
    model.data(1)
    model.checkpoint(1, ((2, 3),))
    model.log.seal()
    assert _at_end(model).told == {1: 3}


@pytest.mark.parametrize("kind", [Kind.TXN_PART, Kind.TXN_COMMIT, Kind.CHECKPOINT, Kind.REVERT])
def test_a_frame_that_makes_no_sense_is_corruption_with_its_place(kind: Kind) -> None:
    model = _model()
    model.data(0)
    lsn = model.log.put(b"?", kind=kind)
    with pytest.raises(Corruption) as caught:
        model.log.seal()
    assert (caught.value.lsn, caught.value.offset) == (lsn, lsn)
    with pytest.raises(Corruption):
        _at_end(model)


def test_the_last_part_of_a_transaction_is_the_last_in_the_log_whatever_its_group() -> None:
    model = _model()
    number = model.part(0, 0)
    model.part(number, 1)
    model.part(number, 0)
    assert _at_end(model).open[number].last_lsn == model.where[0, 2]
    assert facts_of(_at_end(model)) == model.facts()


def test_a_commit_of_nobody_changes_nothing() -> None:
    catalog = Catalog()
    catalog.apply(8192, Kind.TXN_COMMIT, 0, 0, encode_commit(Commit(4096, 4096, 1)))
    assert catalog == Catalog()


def test_frames_that_end_too_early_are_corruption() -> None:
    model = _model()
    model.data(0)
    with pytest.raises(Corruption) as caught:
        catalog_at(model.log.directory, UUID, model.log.end_lsn + 40)
    assert caught.value.lsn == model.log.end_lsn


def _footer(*sections: Section) -> Footer:
    return Footer(4096, 4096, 0, 0, others=sections)


def _full() -> Footer:
    model = _model()
    model.checkpoint(0, ((3, 4),))
    model.commands(1, CheckpointCommands(1, 2, ((0, 0),), ((1, 2),)))
    model.revert(EVERY_GROUP, 4096)
    model.part(0, 1)
    model.log.seal()
    assert model.log.footer is not None
    return model.log.footer


@pytest.mark.parametrize("kind", [CHECKPOINTS, TRANSACTIONS, REVERTS])
def test_any_cut_of_a_section_is_corruption(kind: int) -> None:
    footer = _full()
    (section,) = (one for one in footer.others if one.type == kind)
    for length in range(len(section.data)):
        with pytest.raises(Corruption):
            catalog_of(_footer(section._replace(data=section.data[:length])))
    with pytest.raises(Corruption):
        catalog_of(_footer(section._replace(data=section.data + bytes(8))))


@given(st.sampled_from([CHECKPOINTS, TRANSACTIONS, REVERTS]), st.data())
def test_any_change_of_a_section_is_corruption_or_another_catalog(
    kind: int, data: st.DataObject
) -> None:
    footer = _full()
    (section,) = (one for one in footer.others if one.type == kind)
    changed = bytearray(section.data)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    others = tuple(
        one._replace(data=bytes(changed)) if one.type == kind else one for one in footer.others
    )
    try:
        catalog = catalog_of(replace(footer, others=others))
    except Corruption:
        return
    # Whatever was accepted can be carried on.
    again = replace(footer, others=sections_of(catalog, footer.groups))
    assert catalog_of(again) == catalog
