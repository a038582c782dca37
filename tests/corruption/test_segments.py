"""Segments that are missing, doubled, renamed, foreign or older, and manifests that are.

For each of them the verdict with its place; strict recovery that touches nothing; verify; and a
repair after which every record is there that is still in any file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest

from logstore.errors import Corruption
from logstore.format import SegmentHeader
from logstore.segments import manifest as manifests
from logstore.segments.mending import repair
from logstore.segments.recover import recover
from logstore.segments.repair import plan_repair
from logstore.segments.segment import segment_name
from tests.corruption.judging import nothing_is_gone, verified
from tests.corruption.known_log import HEADER, MANIFEST, Frame, four_segments
from tests.memory_directory import MemoryDirectory
from tests.segments.small_log import contents, facts, read_all

Change = Callable[[MemoryDirectory], object]


@dataclass(frozen=True)
class Case:
    """One kind of damage to a directory.

    Attributes:
        change: Does it.
        names: Segments that verify must name one of; none: it is about the manifest.
        lost: Segments whose records are gone for good.
    """

    change: Change
    names: tuple[str, ...]
    lost: tuple[str, ...] = ()


KNOWN = four_segments()
SEGMENTS = [*KNOWN.sealed, KNOWN.active]


def base(name: str) -> int:
    return int(name[:20])


def put(name: str, data: bytes) -> Change:
    return lambda directory: directory.files.__setitem__(name, bytearray(data))


def headed(name: str, **changes: object) -> bytes:
    """Return a segment with another header."""
    data = bytes(KNOWN.directory.files[name])
    header = replace(SegmentHeader.decode(data), stored_crc=None, **changes)  # type: ignore[arg-type]
    return header.encode() + data[HEADER:]


def swap(first: str, second: str) -> Change:
    def change(directory: MemoryDirectory) -> None:
        files = directory.files
        files[first], files[second] = files[second], files[first]

    return change


def of_each_segment(name: str, index: int) -> Iterator[tuple[str, Case]]:
    data = bytes(KNOWN.directory.files[name])
    other = SEGMENTS[index - 1]
    foreign = headed(name, uuid=b"another log's id")
    yield f"{index} missing", Case(lambda d: d.unlink(name), (name,), (name,))
    yield f"{index} empty", Case(put(name, b""), (name,), (name,))
    yield f"{index} is zeros", Case(put(name, bytes(len(data))), (name,), (name,))
    yield f"{index} foreign", Case(put(name, foreign), (name,), (name,))
    if name != KNOWN.active:  # Nothing says which header that one should have.
        changed = put(name, headed(name, created_ns=1))
        yield f"{index} with another header", Case(changed, (name,), (name,))
    yield f"{index} doubled in place of {other}", Case(put(other, data), (other,), (other,))
    within = segment_name(base(name) + 8)
    yield f"{index} doubled within itself", Case(put(within, data), (within,))
    behind = segment_name(base(SEGMENTS[-1]) + 65536)
    yield f"{index} doubled behind the end", Case(put(behind, data), (behind,))
    for new in (segment_name(8), segment_name(base(name) + 16), behind):
        moved = Case(lambda d, new=new: d.rename(name, new), (name, new))  # type: ignore[misc]
        yield f"{index} renamed to {new}", moved
    worse = bytearray(data)
    worse[HEADER + 33] ^= 1
    yield f"{index} doubled by a damaged copy", Case(put(behind, bytes(worse)), (behind,))
    strange = "copy of a segment.seg"
    yield f"{index} copied under a strange name", Case(put(strange, data), (strange,))
    for second in SEGMENTS[index + 1 :]:
        yield f"{index} and {second} swapped", Case(swap(name, second), (name, second))


def of_the_manifest() -> Iterator[tuple[str, Case]]:
    text = bytes(KNOWN.directory.files[MANIFEST])
    yield "no manifest", Case(lambda d: d.unlink(MANIFEST), ())
    yield "an empty manifest", Case(put(MANIFEST, b""), ())
    yield "a manifest of zeros", Case(put(MANIFEST, bytes(len(text))), ())
    yield "half a manifest", Case(put(MANIFEST, text[: len(text) // 2]), ())
    yield "two manifests in one", Case(put(MANIFEST, text * 2), ())


CASES = dict(of_the_manifest())
for index, name in enumerate(SEGMENTS):
    CASES |= of_each_segment(name, index)


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 50


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def damaged_by(case: Case) -> MemoryDirectory:
    directory = KNOWN.directory.copied()
    case.change(directory)
    return directory


def left(case: Case) -> list[Frame]:
    return [frame for frame in KNOWN.frames if frame.name not in case.lost]


def test_recovery_refuses_it_or_changes_nothing_that_is_read(case: Case) -> None:
    directory = damaged_by(case)
    before = contents(directory)
    try:
        recovered = recover(directory)
    except Corruption as error:
        refused_by = error.segment
    else:
        _only_what_was_written(directory, before, recovered.end_lsn)
        return
    assert contents(directory) == before
    assert refused_by in (*case.names, None) or not case.names


def _only_what_was_written(
    directory: MemoryDirectory, before: dict[str, bytes], end_lsn: int
) -> None:
    # Of sealed segments but the newest, only reading looks at more than the names.
    nothing_is_gone(before, contents(directory))
    records: list[tuple[int, int, bytes]] = []
    with suppress(Corruption):
        records = facts(read_all(directory, end_lsn))
    assert records in ([], KNOWN.log.records)


def test_verify_names_it(case: Case) -> None:
    found = verified(damaged_by(case)).corrupt
    assert found
    if case.names:
        assert any(one.segment in case.names for one in found), found
    else:
        assert str(found[0].path).endswith(MANIFEST) or "manifest" in found[0].message.lower()


def test_a_repair_keeps_every_record_that_is_in_any_file(case: Case) -> None:
    directory = damaged_by(case)
    before = contents(directory)
    plan = plan_repair(directory)
    assert plan.problems
    assert contents(directory) == before
    repair(directory)
    after = contents(directory)
    nothing_is_gone(before, after)
    recovered = recover(directory)
    records = facts(read_all(directory, recovered.end_lsn, recovered.manifest.start_lsn))
    assert records == [frame.record for frame in left(case)]
    assert not verified(directory).corrupt
    for frame in KNOWN.frames:
        if frame.name in case.lost:
            assert any(hole.from_lsn <= frame.lsn < hole.until_lsn for hole in plan.holes)
            assert recovered.end_lsn > frame.lsn
            assert plan.next_seqs.get(frame.record[1], 1) > frame.seq or not left(case)
    if not case.lost:
        assert plan.holes == ()


def test_a_segment_as_it_was_earlier_is_found() -> None:
    for name in SEGMENTS:
        directory = KNOWN.directory.copied()
        directory.files[name] = bytearray(KNOWN.older[name])
        expected = KNOWN.expected(directory)
        found = verified(directory).corrupt
        # Of the active segment nothing else says how far it went.
        assert bool(found) == (name != KNOWN.active) == (expected.verdict == "corrupt")
        if found:
            assert found[0].segment == name
            repair(directory)
            recovered = recover(directory)
            whole = {frame.record for frame in KNOWN.whole(directory)}
            records = facts(read_all(directory, recovered.end_lsn))
            assert set(records) <= {frame.record for frame in KNOWN.frames}
            assert whole <= set(records)


def test_an_older_manifest_loses_nothing() -> None:
    directory = KNOWN.directory.copied()
    directory.files[MANIFEST] = bytearray(KNOWN.older[MANIFEST])
    recovered = recover(directory)
    assert facts(read_all(directory, recovered.end_lsn)) == KNOWN.log.records


def test_an_older_manifest_of_a_clean_shutdown_is_corruption_and_its_repair_loses_nothing() -> None:
    known = four_segments()
    known.log.seal()
    directory = known.directory.copied()
    old = replace(known.log.manifest, sealed=known.log.manifest.sealed[:2], clean=True)
    directory.files[MANIFEST] = bytearray(old.encode())
    with pytest.raises(Corruption):
        recover(directory)
    assert verified(directory).corrupt
    repair(directory)
    recovered = recover(directory)
    assert facts(read_all(directory, recovered.end_lsn)) == known.log.records


@pytest.mark.parametrize("in_its_place", [None, 0], ids=["missing", "overwritten with the first"])
def test_without_a_manifest_the_segment_before_the_active_one_is_still_missed(
    in_its_place: int | None,
) -> None:
    directory = KNOWN.directory.copied()
    directory.files[MANIFEST][5] ^= 1
    gone = KNOWN.sealed[-1]
    del directory.files[gone]
    if in_its_place is not None:
        put(gone, bytes(directory.files[KNOWN.sealed[in_its_place]]))(directory)
    before = contents(directory)
    plan = repair(directory).plan
    assert [(hole.from_lsn, hole.until_lsn) for hole in plan.holes] == [
        (base(gone), base(KNOWN.active))
    ]
    nothing_is_gone(before, contents(directory))
    recovered = recover(directory)
    records = facts(read_all(directory, recovered.end_lsn))
    assert records == [frame.record for frame in KNOWN.frames if frame.name != gone]


def test_a_dropped_segment_under_a_wrong_name_is_put_aside() -> None:
    directory = KNOWN.directory.copied()
    dropped = bytes(directory.files[KNOWN.sealed[0]])
    manifest = manifests.load(directory)
    assert manifest is not None
    after = manifest.sealed[1:]
    manifests.save(directory, replace(manifest, sealed=after, start_lsn=after[0].base_lsn))
    del directory.files[KNOWN.sealed[0]]
    put(segment_name(base(KNOWN.sealed[0]) + 8), dropped)(directory)
    assert repair(directory).plan.problems
    assert repair(directory).plan.problems == ()
    assert dropped in [bytes(data) for data in directory.files.values()]
    assert recover(directory).leftovers == ()
