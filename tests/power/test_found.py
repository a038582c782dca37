"""What the simulator has found, each case by itself."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from logstore.segments import manifest as manifests
from logstore.segments.recover import recover
from logstore.segments.segment import segment_name
from tests.memory_directory import MemoryDirectory
from tests.power.disk import Disk
from tests.power.images import choices
from tests.power.judging import directory_of, image_of
from tests.power.possible import Possibilities
from tests.power.profiles import BY_NAME
from tests.power.recording import EMPTY, RecordedMemory, Trace
from tests.power.run import Effort, Explorer
from tests.segments.small_log import SmallLog, flip


def _survives(trace: Trace, since: int) -> list[int]:
    """Recover what every power loss since an op may leave; return where the logs end."""
    disk = Disk(trace, BY_NAME["weak"])
    ends = []
    for index, op in enumerate(trace.ops):
        disk.apply(index, op)
        if index >= since:
            possible = Possibilities(disk, BY_NAME["weak"], 0)
            for choice in choices(possible.counts, possible.newest(), rng=random.Random(0)):
                ends.append(recover(directory_of(possible.image(choice))).end_lsn)
    return ends


def test_a_manifest_is_never_there_before_the_segments_that_it_names() -> None:
    directory = RecordedMemory.of(EMPTY)
    log = SmallLog(directory)
    log.begin(named=False)
    log.put(b"one")
    directory.sync()
    log.seal(named=False)
    manifests.save(directory, log.manifest)
    log.begin(named=False)
    begun = len(directory.trace.ops)
    manifests.save(directory, replace(log.manifest, active_base_lsn=log.end_lsn))
    assert set(_survives(directory.trace, begun)) == {log.end_lsn}


def test_a_recovery_may_end_after_it_removed_the_empty_active_segment() -> None:
    log = SmallLog(MemoryDirectory())
    log.begin()
    log.put(b"one")
    log.seal()
    log.begin()
    directory = RecordedMemory.of(image_of(log.directory))
    recover(directory)
    assert set(_survives(directory.trace, 0)) == {log.end_lsn}


def test_a_recovery_may_end_after_it_put_the_active_segment_aside() -> None:
    log = SmallLog(MemoryDirectory())
    log.begin()
    log.put(b"one")
    end_lsn = log.end_lsn
    log.put(b"two")
    log.begin()
    log.put(b"three")
    flip(log.directory, segment_name(4096), 4096 + end_lsn - 4096, 1)
    directory = RecordedMemory.of(image_of(log.directory))
    recover(directory)
    assert set(_survives(directory.trace, 0)) == {end_lsn}


def test_what_a_recovery_cuts_is_in_the_file_or_in_its_copy() -> None:
    log = SmallLog(MemoryDirectory())
    log.begin()
    log.put(b"one")
    end_lsn = log.end_lsn
    log.put(b"torn and wanted")
    flip(log.directory, log.active, 4096 + end_lsn - 4096, 1)
    directory = RecordedMemory.of(image_of(log.directory))
    recover(directory)
    trace = directory.trace
    disk = Disk(trace, BY_NAME["weak"])
    for index, op in enumerate(trace.ops):
        disk.apply(index, op)
        possible = Possibilities(disk, BY_NAME["weak"], 0)
        for choice in choices(possible.counts, possible.newest(), rng=random.Random(0)):
            files = possible.image(choice).files
            kept = [name for name, data in files.items() if b"torn and wanted" in data]
            assert set(kept) - {"quarantine/copy.tmp"}, f"lost after {op}"


@pytest.mark.parametrize(
    ("seed", "profile"),
    [
        (103, "zeros"),  # the syncer's sync fails; sealing the segment must not prove its frames
        (126, "tear-512"),  # sealing a segment fails; the manifest must not list the next one
    ],
)
def test_a_failed_sync_leaves_a_log_that_recovers(seed: int, profile: str, place: Path) -> None:
    Explorer(place, Effort(few=64, at_random=20, most=16)).explore(seed, BY_NAME[profile])
