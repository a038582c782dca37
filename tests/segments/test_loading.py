"""Loading single records from a few segments that stay open."""

from __future__ import annotations

import errno
from collections import Counter
from pathlib import Path

import pytest

from logstore.errors import Compacted, Corruption, InvalidLSN, NotWritten, ReadFailed
from logstore.files import Directory
from logstore.format import Kind
from logstore.frames import OpenFiles
from logstore.segments.loading import KEPT_OPEN, Loader
from logstore.segments.search import Finder
from logstore.segments.segment import segment_name
from tests.memory_directory import MemoryDirectory
from tests.segments.small_log import UUID, SmallLog, flip

NAMES = ["default", "orders"]
RECORDS = 1 << Kind.DATA | 1 << Kind.TXN_PART


class Loaded:
    """A log in memory, what loads from it, and a count of the calls that reach its directory."""

    def __init__(self, segments: int, each: int, largest: int = 50) -> None:
        self.directory = MemoryDirectory()
        self.log = SmallLog(self.directory)
        self.removed = 0
        self.where: dict[tuple[int, int], tuple[int, bytes]] = {}
        for number in range(segments):
            if number:
                self.log.seal()
            self.log.begin()
            for count in range(each):
                self.put(b"%d" % count * (count % largest), 0 if count % 3 else 1)
        self.calls: Counter[str] = Counter()
        self.directory.fault = lambda call: self.calls.update([call])
        finder = Finder(self.directory, UUID, lambda: self.log.end_lsn, lambda: self.removed)
        self.loader = Loader(finder, lambda: self.removed)

    def put(self, payload: bytes, group: int = 0) -> None:
        lsn = self.log.put(payload, group=group)
        self.where[group, self.log.seq[group]] = lsn, payload

    def drop(self, base_lsn: int) -> list[tuple[int, int]]:
        """Remove a segment as compaction does; return which records were in it."""
        one = next(one for one in self.log.manifest.sealed if one.base_lsn == base_lsn)
        self.directory.unlink(segment_name(base_lsn))
        self.removed += 1
        return [key for key, (lsn, _) in self.where.items() if base_lsn <= lsn < one.end_lsn]

    def check(self, group: int, seq: int) -> None:
        """Load a record in both ways."""
        lsn, payload = self.where[group, seq]
        for record in (
            self.loader.load(lsn, self.log.end_lsn, NAMES, kinds=RECORDS),
            self.loader.load_seq(group, seq, NAMES),
        ):
            assert (record.lsn, record.seq, record.payload) == (lsn, seq, payload)
            assert record.group == NAMES[group]


def test_every_record_is_loaded_whatever_its_size_and_wherever_it_lies() -> None:
    loaded = Loaded(4, 300, largest=900)
    loaded.put(b"x" * 300_000)
    for _ in range(2):
        for group, seq in loaded.where:
            loaded.check(group, seq)


def test_a_warm_load_reads_once_and_opens_nothing() -> None:
    loaded = Loaded(6, 300)
    for group, seq in loaded.where:
        loaded.check(group, seq)
    loaded.calls.clear()
    for group, seq in loaded.where:
        loaded.check(group, seq)
    assert loaded.calls == {"read": 2 * len(loaded.where)}


def test_few_files_stay_open_however_many_segments_there_are() -> None:
    loaded = Loaded(KEPT_OPEN + 20, 2)
    for group, seq in loaded.where:
        loaded.check(group, seq)
        assert loaded.directory.open_count <= KEPT_OPEN + 1  # one more while it looks elsewhere
    loaded.loader.close()
    assert loaded.directory.open_count == 0


class Watched(Directory):
    """A directory on disk that tells before it closes a file."""

    def close_file(self, fd: int) -> None:
        self.closing(fd)
        super().close_file(fd)

    def closing(self, fd: int) -> None:
        """Nobody listens yet."""


def test_no_file_is_closed_that_could_still_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Watched.open(tmp_path / "log", create=True) as directory:
        log = SmallLog(directory)
        lsns: list[int] = []
        for number in range(KEPT_OPEN + 20):
            if number:
                log.seal()
            log.begin()
            lsns.append(log.put(b"one of its own"))
        finder = Finder(directory, UUID, lambda: log.end_lsn)
        loader = Loader(finder, lambda: 0)
        open_now: dict[int, int] = {}
        closed: list[bool] = []
        put, drop = OpenFiles.put, OpenFiles.drop

        class Recording:
            """OpenFiles that says which descriptors it has."""

            def put(self, number: int, fd: int, *rest: int) -> None:
                open_now[number] = fd
                put(files, number, fd, *rest)

            def drop(self, number: int) -> None:
                open_now.pop(number, None)
                drop(files, number)

            def __getattr__(self, name: str) -> object:
                return getattr(files, name)

        files = loader.files
        monkeypatch.setattr(loader, "files", Recording())
        monkeypatch.setattr(directory, "closing", lambda fd: closed.append(fd in open_now.values()))
        for lsn in lsns:
            assert loader.load(lsn, log.end_lsn, NAMES, kinds=RECORDS).lsn == lsn
            assert files.load(lsn, log.end_lsn, NAMES) is not None
            assert len(open_now) <= KEPT_OPEN
        loader.close()
        assert closed
        assert not any(closed)
        assert not open_now


def test_what_was_dropped_is_not_read_from_a_file_that_was_open() -> None:
    loaded = Loaded(5, 100)
    for group, seq in loaded.where:
        loaded.check(group, seq)
    gone = loaded.drop(loaded.log.manifest.sealed[2].base_lsn)
    assert gone
    for group, seq in gone:
        with pytest.raises(Compacted):
            loaded.loader.load(loaded.where[group, seq][0], loaded.log.end_lsn, NAMES, kinds=1)
        with pytest.raises(Compacted):
            loaded.loader.load_seq(group, seq, NAMES)
    for group, seq in loaded.where.keys() - set(gone):
        loaded.check(group, seq)


def test_a_listing_that_failed_is_tried_again() -> None:
    loaded = Loaded(4, 50)
    for group, seq in loaded.where:
        loaded.check(group, seq)
    gone = loaded.drop(loaded.log.manifest.sealed[1].base_lsn)

    def fail(call: str) -> None:
        if call == "names":
            raise OSError(errno.EIO, "the disk")

    lsn = loaded.where[gone[0]][0]
    loaded.directory.fault = fail
    with pytest.raises(ReadFailed):
        loaded.loader.load(lsn, loaded.log.end_lsn, NAMES, kinds=RECORDS)
    with pytest.raises(ReadFailed):
        loaded.loader.load_seq(*gone[0], NAMES)
    loaded.directory.fault = None
    with pytest.raises(Compacted):
        loaded.loader.load(lsn, loaded.log.end_lsn, NAMES, kinds=RECORDS)
    with pytest.raises(Compacted):
        loaded.loader.load_seq(*gone[0], NAMES)


def test_records_that_come_later_are_found_across_rotations() -> None:
    loaded = Loaded(1, 10)
    for number in range(5):
        for count in range(100):
            loaded.put(b"later %d" % count)
            loaded.check(0, loaded.log.seq[0])
        if number % 2:
            loaded.log.seal()
            loaded.log.begin()
    with pytest.raises(NotWritten):
        loaded.loader.load_seq(0, loaded.log.seq[0] + 1, NAMES)
    loaded.calls.clear()
    loaded.check(0, loaded.log.seq[0])
    assert loaded.calls == {"read": 2}


def test_what_is_no_record_is_told_apart() -> None:
    loaded = Loaded(2, 10)
    lsn = loaded.log.put(kind=Kind.ABORT)
    loaded.put(b"behind it")
    with pytest.raises(NotWritten, match="came to nothing"):
        loaded.loader.load_seq(0, loaded.log.seq[0] - 1, NAMES)
    for wrong in (lsn, lsn + 8):
        with pytest.raises((InvalidLSN, Corruption)):
            loaded.loader.load(wrong, loaded.log.end_lsn, NAMES, kinds=RECORDS)


def test_damage_is_corruption_also_in_a_file_that_was_open() -> None:
    loaded = Loaded(2, 100)
    loaded.check(0, 30)
    lsn = loaded.where[0, 30][0]
    flip(loaded.directory, segment_name(4096), lsn, 3)
    with pytest.raises(Corruption) as caught:
        loaded.loader.load_seq(0, 30, NAMES)
    assert caught.value.lsn == lsn
    with pytest.raises(Corruption):
        loaded.loader.load(lsn, loaded.log.end_lsn, NAMES, kinds=RECORDS)
    loaded.check(0, 65)
