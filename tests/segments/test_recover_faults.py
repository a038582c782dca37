"""Recovery that is killed, or meets a bad or full disk, at any of its calls."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator

import pytest

from logstore.errors import DiskFull, LogstoreError, PermissionDenied, ReadFailed, SyncFailed
from logstore.segments.recover import recover
from tests.memory_directory import MemoryDirectory
from tests.segments.small_log import SmallLog, contents, facts, flip, read_all, three_segments

READS = {"names", "sizes", "size", "open_read", "read", "read_into", "file_size"}


class Killed(BaseException):
    """Stand for a SIGKILL: no code of ours can catch it by accident."""


def _killed_plainly() -> SmallLog:
    return three_segments(MemoryDirectory())


def _killed_in_rotation() -> SmallLog:
    log = three_segments(MemoryDirectory())
    log.begin(named=False)
    log.put(b"seven")
    log.begin(named=False)
    return log


def _torn() -> SmallLog:
    log = three_segments(MemoryDirectory())
    torn, lsn = log.active, log.records[-1][0]
    for number in range(2):
        log.begin(named=False)
        log.put(b"behind %d" % number)
    flip(log.directory, torn, 4096 + lsn - 4336, 0)
    return log


def _torn_at_its_start() -> SmallLog:
    log = three_segments(MemoryDirectory())
    log.begin(named=False)
    log.put(b"seven")
    flip(log.directory, log.active, 4100, 0)
    return log


def _unfinished_batch() -> SmallLog:
    log = three_segments(MemoryDirectory())
    log.batch(b"a", b"b", whole=False)
    return log


def _clean() -> SmallLog:
    log = three_segments(MemoryDirectory())
    log.seal()
    log.save(clean=True)
    return log


LOGS = [
    _killed_plainly,
    _killed_in_rotation,
    _torn,
    _torn_at_its_start,
    _unfinished_batch,
    _clean,
]


both_ways = pytest.mark.parametrize("trusted", [False, True], ids=["into new files", "in place"])


class Stop:
    """Raise at one call, and, like a dead process or disk, at each one after it."""

    def __init__(self, after: int, failure: BaseException, only: set[str] | None) -> None:
        self.left = after
        self.failure = failure
        self.only = only
        self.call = ""

    def __call__(self, call: str) -> None:
        if self.only is not None and call not in self.only:
            return
        self.left -= 1
        if self.left < 0:
            self.call = self.call or call
            raise self.failure


def _stops(
    make: Callable[[], SmallLog],
    failure: BaseException,
    only: set[str] | None = None,
    *,
    trusted: bool = False,
) -> Iterator[tuple[SmallLog, MemoryDirectory, LogstoreError | None, str]]:
    """Recover copies of one log, each stopped one call later, until one is not stopped."""
    log = make()
    assert isinstance(log.directory, MemoryDirectory)
    for after in range(1000):
        directory = log.directory.copied()
        directory.fault = stop = Stop(after, failure, only)
        error = None
        try:
            recover(directory, trusted=trusted)
        except Killed:
            pass
        except LogstoreError as caught:
            error = caught
        else:
            assert after > 5
            return
        directory.fault = None
        yield log, directory, error, stop.call
    raise AssertionError("recovery never came to its end")


def _without_segments(found: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in found.items() if not name.endswith(".tmp")}


@both_ways
@pytest.mark.parametrize("make", LOGS)
def test_killed_at_any_call_and_run_again_it_gives_the_same_bytes(
    make: Callable[[], SmallLog], trusted: bool
) -> None:
    plain = make()
    end_lsn = recover(plain.directory, trusted=trusted).end_lsn
    expected = contents(plain.directory)
    for log, directory, _, call in _stops(make, Killed(), trusted=trusted):
        recovered = recover(directory, trusted=trusted)
        assert recovered.end_lsn == end_lsn, call
        assert _without_segments(contents(directory)) == expected, call
        records = facts(read_all(directory, end_lsn))
        assert records == [record for record in log.records if record[0] < end_lsn]


@both_ways
@pytest.mark.parametrize("make", LOGS)
@pytest.mark.parametrize(
    ("number", "of_reading", "of_writing"),
    [
        (errno.EIO, ReadFailed, SyncFailed),
        (errno.ENOSPC, ReadFailed, DiskFull),
        (errno.EDQUOT, ReadFailed, DiskFull),
        (errno.EFBIG, ReadFailed, DiskFull),
        (errno.EACCES, PermissionDenied, PermissionDenied),
        (errno.EROFS, PermissionDenied, PermissionDenied),
    ],
)
def test_an_error_at_any_call_is_told_by_its_class_and_nothing_is_lost(
    make: Callable[[], SmallLog],
    number: int,
    of_reading: type[LogstoreError],
    of_writing: type[LogstoreError],
    trusted: bool,
) -> None:
    plain = make()
    end_lsn = recover(plain.directory, trusted=trusted).end_lsn
    failure = OSError(number, os.strerror(number), "/somewhere")
    for _, directory, error, call in _stops(make, failure, trusted=trusted):
        allowed = {of_reading, of_writing} if call in READS else {of_writing}
        assert type(error) in allowed, call
        assert error is not None
        assert error.errno == number
        assert error.path is not None
        assert directory.open_count == 0, call
        # Whoever has met an error does not trust the files any more.
        assert recover(directory).end_lsn == end_lsn, call


@pytest.mark.parametrize("make", LOGS)
def test_what_a_full_disk_had_no_room_for_does_not_take_room(make: Callable[[], SmallLog]) -> None:
    directory = make().directory
    assert isinstance(directory, MemoryDirectory)
    directory.fault = Stop(0, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), {"write"})
    with pytest.raises(DiskFull):
        recover(directory)
    directory.fault = None
    assert not [name for name in directory.files if "next" in name]


@pytest.mark.parametrize("make", LOGS)
def test_a_disk_that_cannot_be_read_is_refused_and_left_untouched(
    make: Callable[[], SmallLog],
) -> None:
    failure = OSError(errno.EIO, os.strerror(errno.EIO), "/somewhere")
    untouched = 0
    for log, directory, error, _ in _stops(make, failure, READS):
        assert isinstance(error, ReadFailed | SyncFailed)
        if directory.changes == 0:
            assert contents(directory) == contents(log.directory)
            untouched += isinstance(error, ReadFailed)
    assert untouched > 4
