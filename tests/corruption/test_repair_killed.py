"""A repair that is killed, or meets a full disk, at any of its calls, and is begun again."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import pytest

from logstore.errors import Corruption, DiskFull
from logstore.options import Recovery
from logstore.segments import repairs
from logstore.segments.mending import repair
from logstore.segments.recover import recover
from tests.corruption.judging import nothing_is_gone, verified
from tests.corruption.known_log import HEADER, MANIFEST, four_segments
from tests.memory_directory import MemoryDirectory
from tests.segments.small_log import contents, facts, read_all

READS = {"names", "sizes", "size", "open_read", "read", "read_into", "file_size"}
KNOWN = four_segments()
FIRST, SECOND, THIRD, ACTIVE = [*KNOWN.sealed, KNOWN.active]


class Killed(BaseException):
    """Stand for a SIGKILL."""


def _flip(directory: MemoryDirectory, name: str, at: int) -> None:
    directory.files[name][at] ^= 4


def _holes(directory: MemoryDirectory) -> None:
    _flip(directory, FIRST, HEADER + 33)
    _flip(directory, SECOND, HEADER + 33)
    _flip(directory, ACTIVE, HEADER + 33)


def _missing_and_renamed(directory: MemoryDirectory) -> None:
    directory.unlink(SECOND)
    files = directory.files
    files[FIRST], files[THIRD] = files[THIRD], files[FIRST]


def _no_manifest(directory: MemoryDirectory) -> None:
    _flip(directory, MANIFEST, 40)
    _flip(directory, SECOND, HEADER + 33)
    _flip(directory, THIRD, 10)


def _active_gone(directory: MemoryDirectory) -> None:
    _flip(directory, ACTIVE, 70)


def _end(directory: MemoryDirectory) -> None:
    _flip(directory, ACTIVE, HEADER + 33)


Damage = Callable[[MemoryDirectory], None]
CASES: list[tuple[Damage, Recovery]] = [
    (_holes, "salvage"),
    (_missing_and_renamed, "salvage"),
    (_no_manifest, "salvage"),
    (_active_gone, "salvage"),
    (_active_gone, "tail"),
    (_end, "tail"),
]
NAMES = [f"{damage.__name__[1:]}-{recovery}" for damage, recovery in CASES]


class Stop:
    """Raise at one change, and at each call after it."""

    def __init__(self, after: int, failure: BaseException) -> None:
        self.left = after
        self.failure = failure

    def __call__(self, name: str) -> None:
        if name in READS and self.left >= 0:
            return
        self.left -= 1
        if self.left < 0:
            raise self.failure


def _outcome(directory: MemoryDirectory, recovery: Recovery) -> tuple[object, ...]:
    """Repair to the end and say what matters of the result."""
    repair(directory, recovery)
    recovered = recover(directory)
    assert recovered.footer is not None
    records = facts(read_all(directory, recovered.end_lsn, recovered.manifest.start_lsn))
    assert not verified(directory).corrupt
    known = repairs.load(directory)
    assert known.unfinished is None
    seqs = [(group.id, group.last_seq) for group in recovered.footer.groups]
    return records, known.holes, known.lost, seqs, recovered.end_lsn


@pytest.mark.parametrize(("damage", "recovery"), CASES, ids=NAMES)
def test_killed_at_any_change_it_is_taken_up_again(damage: Damage, recovery: Recovery) -> None:
    damaged = KNOWN.directory.copied()
    damage(damaged)
    before = contents(damaged)
    undisturbed = _outcome(damaged.copied(), recovery)
    after, killed = 0, True
    while killed:
        directory = damaged.copied()
        directory.fault = Stop(after, Killed())
        try:
            repair(directory, recovery)
            killed = False
        except Killed:
            after += 1
        directory.fault = None
        if killed and "REPAIRS" in directory.files and repairs.load(directory).unfinished:
            _is_refused(directory)
        assert _outcome(directory, recovery) == undisturbed, after
        nothing_is_gone(before, contents(directory))
    assert after > 10


def _is_refused(directory: MemoryDirectory) -> None:
    """Check that nobody takes a log whose repair has begun for a whole one."""
    before = contents(directory)
    with pytest.raises(Corruption):
        recover(directory)
    assert contents(directory) == before
    assert verified(directory).corrupt


@pytest.mark.parametrize(("damage", "recovery"), CASES, ids=NAMES)
def test_on_a_full_disk_it_says_so_and_goes_on_later(damage: Damage, recovery: Recovery) -> None:
    damaged = KNOWN.directory.copied()
    damage(damaged)
    undisturbed = _outcome(damaged.copied(), recovery)
    for after in range(0, 200, 3):
        directory = damaged.copied()
        directory.fault = Stop(after, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        try:
            repair(directory, recovery)
            break
        except DiskFull:
            directory.fault = None
        assert _outcome(directory, recovery) == undisturbed, after
