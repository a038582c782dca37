"""Reading backwards gives what reading forwards gives, the other way round."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstore.errors import Corruption, InvalidLSN
from logstore.segments.reader import SegmentReader
from logstore.segments.segment import segment_name
from tests.memory_directory import MemoryDirectory
from tests.segments.small_log import DATA, NAMES, UUID, SmallLog, flip, read_all


def _log(sizes: list[list[int]], *, sealed: bool) -> tuple[SmallLog, list[int]]:
    """Make a log of segments with records of these sizes; return also where frames begin."""
    log = SmallLog(MemoryDirectory())
    places = []
    for segment in sizes:
        if log.header is not None:
            log.seal()
        log.begin()
        for number, size in enumerate(segment):
            if number % 7 == 3:
                places.append(log.mark(number))
            places.append(log.put(bytes([number % 256]) * size, group=number % 2))
    if sealed:
        log.seal()
    return log, [*places, log.end_lsn]


def _back(
    log: SmallLog, start_lsn: int, floor_lsn: int = 0, *, chunk_size: int = 256, copy: bool = True
) -> list[tuple[int, bytes]]:
    with SegmentReader(log.directory, UUID, chunk_size=chunk_size) as reader:
        chunks = reader.chunks_back(start_lsn, floor_lsn, NAMES, kinds=DATA, copy=copy)
        return [(r.lsn, bytes(r.payload)) for chunk in chunks for r in chunk]


def _forth(log: SmallLog, start_lsn: int, floor_lsn: int = 4096) -> list[tuple[int, bytes]]:
    records = (
        read_all(log.directory, start_lsn, max(floor_lsn, 4096)) if start_lsn > floor_lsn else []
    )
    return [(r.lsn, bytes(r.payload)) for r in reversed(records)]


segments = st.lists(st.lists(st.integers(0, 400), min_size=1, max_size=150), min_size=1, max_size=4)


@given(segments, st.booleans(), st.booleans(), st.integers(64, 4096), st.data())
def test_backwards_is_forwards_reversed(
    sizes: list[list[int]], sealed: bool, copy: bool, chunk_size: int, data: st.DataObject
) -> None:
    log, places = _log(sizes, sealed=sealed)
    start_lsn = data.draw(st.sampled_from(places[::-1]))
    floor_lsn = data.draw(st.sampled_from([0, *places]))
    found = _back(log, start_lsn, floor_lsn, chunk_size=chunk_size, copy=copy)
    assert found == _forth(log, start_lsn, floor_lsn)


def test_each_list_is_small_and_newest_first_although_the_log_is_large() -> None:
    log, _ = _log([[40] * 3000, [40] * 3000], sealed=False)
    with SegmentReader(log.directory, UUID, chunk_size=4096) as reader:
        chunks = list(reader.chunks_back(log.end_lsn, 0, NAMES, kinds=DATA))
    assert max(len(chunk) for chunk in chunks) <= 4096 // 72
    lsns = [record.lsn for chunk in chunks for record in chunk]
    assert lsns == sorted(lsns, reverse=True)
    assert len(lsns) == 6000


def test_the_newest_records_of_a_sealed_segment_come_without_reading_all_of_it() -> None:
    log, _ = _log([[1000] * 3000], sealed=True)
    read = 0

    def count(call: str) -> None:
        nonlocal read
        read += call in ("read", "read_into")

    log.directory.fault = count  # type: ignore[attr-defined]
    with SegmentReader(log.directory, UUID, chunk_size=16384) as reader:
        first = next(reader.chunks_back(log.end_lsn, 0, NAMES, kinds=DATA))
    assert first[0].seq == 1500
    assert read < 20


def test_a_record_larger_than_a_chunk_comes_whole() -> None:
    log, _ = _log([[10, 100_000, 10]], sealed=True)
    assert _back(log, log.end_lsn) == _forth(log, log.end_lsn)


def test_dropped_segments_are_passed_over() -> None:
    log, _ = _log([[50] * 20] * 4, sealed=False)
    gone = log.manifest.sealed[1]
    every = _forth(log, log.end_lsn)
    log.directory.unlink(segment_name(gone.base_lsn))
    kept = [one for one in every if not gone.base_lsn <= one[0] < gone.end_lsn]
    assert _back(log, log.end_lsn) == kept
    assert _back(log, log.end_lsn, gone.base_lsn + 8) == [
        one for one in kept if one[0] >= gone.end_lsn
    ]


@pytest.mark.parametrize("sealed", [True, False])
def test_a_start_within_a_frame_is_no_position(sealed: bool) -> None:
    log, places = _log([[50] * 200], sealed=sealed)
    for lsn, following in itertools.pairwise(places[-20:]):
        assert following - lsn > 8
        with pytest.raises(InvalidLSN):
            _back(log, lsn + 8)


@pytest.mark.parametrize("sealed", [True, False])
def test_a_floor_within_a_frame_is_no_position(sealed: bool) -> None:
    log, places = _log([[50] * 200], sealed=sealed)
    with pytest.raises(InvalidLSN):
        _back(log, log.end_lsn, places[100] + 8)


@pytest.mark.parametrize("start", ["the end", "a frame", "within a frame behind it"])
@pytest.mark.parametrize("sealed", [True, False])
def test_damage_is_corruption_with_its_place(sealed: bool, start: str) -> None:
    log, places = _log([[50] * 200], sealed=sealed)
    flip(log.directory, segment_name(4096), places[100] + 40, 1)
    starts = {
        "the end": log.end_lsn,
        "a frame": places[103],
        "within a frame behind it": places[103] + 8,
    }
    with pytest.raises(Corruption) as caught:
        _back(log, starts[start], chunk_size=1024)
    assert (caught.value.lsn, caught.value.segment) == (places[100], segment_name(4096))


def test_what_lies_behind_damage_is_given_first() -> None:
    log, places = _log([[50] * 200], sealed=True)
    flip(log.directory, segment_name(4096), places[20] + 40, 1)
    with SegmentReader(log.directory, UUID, chunk_size=1024) as reader:
        chunks = reader.chunks_back(log.end_lsn, 0, NAMES, kinds=DATA)
        found = [
            record.lsn for _, chunk in zip(range(10), chunks, strict=False) for record in chunk
        ]
        with pytest.raises(Corruption):
            list(chunks)
    assert found == [lsn for lsn, _ in _forth(log, log.end_lsn, found[-1])]
    assert len(found) >= 50
