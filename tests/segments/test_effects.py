"""Checkpoints that are taken into a catalog together mean what they mean one by one."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstore.errors import Corruption
from logstore.format import Kind, SegmentHeader
from logstore.payloads import (
    CheckpointCommands,
    CheckpointRanges,
    encode_checkpoint,
)
from logstore.segments.catalog import Catalog
from logstore.segments.effects import Frame, apply_effects
from tests.memory_directory import MemoryDirectory
from tests.segments.small_log import SmallLog

seqs = st.integers(1, 30)
ranges = st.builds(lambda first, more: (first, first + more), seqs, st.integers(0, 2))
of_ranges = st.lists(ranges, min_size=1, max_size=2).map(lambda r: CheckpointRanges(tuple(r)))
of_commands = st.builds(
    lambda key, total, done, covered: CheckpointCommands(
        key, total, ((done % total,) * 2,), (covered,)
    ),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 2),
    ranges,
)
checkpoints = st.lists(
    st.tuples(st.integers(0, 2), st.one_of(of_ranges, of_ranges, of_commands)), max_size=25
)


def header() -> SegmentHeader:
    log = SmallLog(MemoryDirectory(), segment_size=1 << 16)
    log.begin()
    assert log.header is not None
    return log.header


def frames(said: list[tuple[int, CheckpointRanges | CheckpointCommands]]) -> list[Frame]:
    return [
        (4096 + 64 * number, Kind.CHECKPOINT, group, 0, encode_checkpoint(one))
        for number, (group, one) in enumerate(said)
    ]


@given(checkpoints)
def test_the_catalog_is_the_same_as_frame_by_frame(
    said: list[tuple[int, CheckpointRanges | CheckpointCommands]],
) -> None:
    together, single = Catalog(), Catalog()
    apply_effects(together, header(), frames(said))
    for frame in frames(said):
        single.apply(*frame)
    assert together == single


def test_ranges_that_touch_are_joined_and_others_are_not() -> None:
    said = [(0, CheckpointRanges((one,))) for one in ((2, 2), (3, 5), (7, 7), (20, 20), (10, 11))]
    catalog = Catalog()
    apply_effects(catalog, header(), frames(list(said)))
    assert list(catalog.checkpointed(0)) == [(2, 5), (7, 7), (10, 11), (20, 20)]
    assert catalog.told == {0: 20}


def test_a_checkpoint_of_each_record_costs_no_call_of_its_own() -> None:
    said = [
        (0, CheckpointRanges(((seq, seq),))) for seq in (*range(1, 3000, 2), *range(2, 3000, 2))
    ]
    calls: list[int] = []
    real = Catalog.checkpoint

    def counted(catalog: Catalog, group: int, ranges: Iterable[tuple[int, int]]) -> None:
        calls.append(group)
        real(catalog, group, ranges)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Catalog, "checkpoint", counted)
        catalog = Catalog()
        apply_effects(catalog, header(), frames(list(said)))
    assert list(catalog.checkpointed(0)) == [(1, 2999)]
    assert catalog.told == {0: 2999}
    assert len(calls) == 1


@pytest.mark.parametrize("pair", [(0, 5), (6, 5)])
def test_a_range_that_makes_no_sense_is_named_with_its_place(pair: tuple[int, int]) -> None:
    good = encode_checkpoint(CheckpointRanges(((1, 1),)))
    bad = good[:-16] + pair[0].to_bytes(8, "little") + pair[1].to_bytes(8, "little")
    with pytest.raises(Corruption) as raised:
        apply_effects(Catalog(), header(), [(4096 + 64, Kind.CHECKPOINT, 0, 0, bad)])
    assert raised.value.lsn == 4160
