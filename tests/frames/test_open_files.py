"""Single records out of files that stay open: what is found, and that all else is not."""

from __future__ import annotations

import os
import random
import sys
from array import array
from pathlib import Path

import pytest

from logstore.frames import (
    COMPRESSED,
    DATA,
    IGNORABLE,
    MARK,
    NO_CLAIM,
    TXN_PART,
    OpenFiles,
    Record,
    encode,
    scan,
)

NAMES = ["default", "orders"]
SALT = 77
HEADER = 4096
BASE = 40960
ORIGIN = BASE - HEADER
ALL = (1 << 64) - 1
STRIDE = 4


class Opened:
    """A file of frames, an OpenFiles that has it, and what a scan finds in it."""

    def __init__(self, path: Path, described: list[tuple[int, int, bytes]]) -> None:
        data, seqs = bytearray(), [0, 0, 0]
        for kind, group, payload in described:
            seqs[group] += kind != MARK
            seq = seqs[group] if kind != MARK else 0
            data += encode(payload, BASE + len(data), seq, group, kind, 0, NO_CLAIM, SALT)
        self.end_lsn = BASE + len(data)
        self.records, end, _ = scan(data, BASE, SALT, self.end_lsn, NAMES, kinds=ALL)
        assert end == self.end_lsn
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.pwrite(self.fd, data, HEADER)
        self.files = OpenFiles()
        self.files.put(3, self.fd, BASE, ORIGIN, SALT)
        for number, name in enumerate(NAMES):
            self.know(number, [one for one in self.records if one.group == name and one.seq])

    def know(self, group: int, records: list[Record]) -> None:
        points = records[::STRIDE]
        seqs = array("Q", [one.seq for one in points])
        lsns = array("Q", [one.lsn for one in points])
        last = records[-1].seq if records else 0
        self.files.know(3, group, 1, last, self.end_lsn, seqs, lsns)

    def load(self, lsn: object) -> Record | None:
        return self.files.load(lsn, self.end_lsn, NAMES)  # type: ignore[arg-type]

    def both(self, record: Record) -> list[Record | None]:
        group = NAMES.index(record.group)
        return [self.load(record.lsn), self.files.load_seq(group, record.seq, NAMES)]

    def flip(self, lsn: int, bit: int) -> None:
        (byte,) = os.pread(self.fd, 1, lsn - ORIGIN)
        os.pwrite(self.fd, bytes([byte ^ 1 << bit]), lsn - ORIGIN)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file on a file system that can tell what is in memory."""
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with path.open("rb") as file:
        try:
            os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT)
        except OSError as error:
            pytest.skip(f"this file system cannot tell what is in memory: {error.strerror}")
    return path


def described(count: int, kinds: tuple[int, ...] = (DATA,)) -> list[tuple[int, int, bytes]]:
    chosen = random.Random(count)
    return [
        (chosen.choice(kinds), chosen.randrange(2), chosen.randbytes(chosen.randrange(60)))
        for _ in range(count)
    ]


def test_every_data_record_is_found_and_nothing_else(path: Path) -> None:
    opened = Opened(path, described(300, (DATA, DATA, TXN_PART, MARK)))
    assert {one.kind for one in opened.records} == {DATA, TXN_PART, MARK}
    for record in opened.records:
        if record.kind == MARK:
            assert opened.load(record.lsn) is None
        else:
            wanted = record if record.kind == DATA else None
            assert opened.both(record) == [wanted, wanted]
        assert opened.load(record.lsn + 8) is None
    assert opened.files.load_seq(0, 300, NAMES) is None
    assert opened.files.load_seq(2, 1, NAMES) is None


def test_what_goes_beyond_the_limit_is_not_found(path: Path) -> None:
    opened = Opened(path, [(DATA, 0, b"0123456789")] * 3)
    last = opened.records[2].lsn
    assert opened.files.load(last, opened.end_lsn, NAMES) == opened.records[2]
    for limit in (opened.end_lsn - 8, last + 8, last, last - 8, 0):
        assert opened.files.load(last, limit, NAMES) is None


def test_a_record_with_any_bit_flipped_is_not_found(path: Path) -> None:
    opened = Opened(path, [(DATA, 1, b"0123456789")] * 9)
    record = opened.records[6]
    for lsn in range(record.lsn, opened.records[7].lsn):
        for bit in range(8):
            opened.flip(lsn, bit)
            assert opened.load(record.lsn) is None
            found = opened.files.load_seq(1, record.seq, NAMES)
            assert found is None
            opened.flip(lsn, bit)
    assert opened.both(record) == [record, record]


@pytest.mark.parametrize(
    ("kind", "flags", "group"),
    [(DATA, COMPRESSED, 0), (100, 0, 0), (IGNORABLE, 0, 0), (DATA, 0, 2)],
)
def test_what_another_version_wrote_and_an_unnamed_group_are_not_found(
    path: Path, kind: int, flags: int, group: int
) -> None:
    opened = Opened(path, [(DATA, 0, b"0123456789")])
    os.pwrite(opened.fd, encode(b"abc", BASE, 1, group, kind, flags, NO_CLAIM, SALT), HEADER)
    opened.files.know(3, 2, 1, 1, opened.end_lsn, array("Q", [1]), array("Q", [BASE]))
    assert opened.load(BASE) is None
    assert opened.files.load_seq(group, 1, NAMES) is None


def test_records_of_every_size_are_found_up_to_one_buffer(path: Path) -> None:
    sizes = [0, 1, 223, 224, 225, 4063, 4064, 4065, 9000, 65503, 65504, 65505, 70000, 5]
    opened = Opened(path, [(DATA, 0, bytes(size)) for size in sizes])
    for size, record in zip(sizes, opened.records, strict=True):
        wanted = record if size <= 65504 else None
        assert opened.both(record) == [wanted, wanted] or size == 5
    assert opened.load(opened.records[-1].lsn) == opened.records[-1]


def test_a_walk_goes_on_over_several_buffers(path: Path) -> None:
    opened = Opened(path, [(DATA, 0, bytes(50_000))] * 8)
    assert all(opened.both(record) == [record, record] for record in opened.records)


def test_the_disk_is_not_waited_for(path: Path) -> None:
    opened = Opened(path, [(DATA, 0, b"0123456789")] * 10)
    record = opened.records[2]
    os.fsync(opened.fd)

    def found_after_eviction(way: int) -> bool:
        os.posix_fadvise(opened.fd, 0, 0, os.POSIX_FADV_DONTNEED)
        return opened.both(record)[way] is not None

    # The kernel begins to read in any case, and now and then the disk is done at once.
    for way in (0, 1):
        assert not all(found_after_eviction(way) for _ in range(1000))
    os.pread(opened.fd, 8192, 0)
    assert opened.both(record) == [record, record]


@pytest.mark.parametrize("lsn", [-1, 1 << 64, 0, BASE - 8, ALL, True, 1.5, "40960", None])
def test_what_is_no_place_in_a_file_is_not_found(path: Path, lsn: object) -> None:
    opened = Opened(path, described(20))
    assert opened.load(lsn) is None
    assert opened.files.load_seq(0, lsn, NAMES) is None  # type: ignore[arg-type]


def test_a_file_that_was_dropped_or_replaced_is_not_read(path: Path) -> None:
    opened = Opened(path, described(20))
    record = opened.records[5]
    opened.files.put(3, opened.fd, BASE, ORIGIN, SALT + 1)
    assert opened.both(record) == [None, None]  # another salt, and nothing is known
    opened.files.put(3, opened.fd, BASE, ORIGIN, SALT)
    assert opened.load(record.lsn) == record
    opened.files.drop(3)
    os.close(opened.fd)
    assert opened.both(record) == [None, None]


def test_a_record_is_looked_for_in_the_file_that_begins_last_before_it(path: Path) -> None:
    opened = Opened(path, described(20))
    later = opened.records[10].lsn
    for number, base_lsn in ((0, 0), (31, later)):
        fd = os.open(path.parent / str(number), os.O_RDWR | os.O_CREAT, 0o600)
        opened.files.put(number, fd, base_lsn, base_lsn, SALT)
    found = [opened.load(record.lsn) for record in opened.records]
    assert found == [*opened.records[:10], *[None] * 10]


def test_what_is_known_is_replaced_and_forgotten(path: Path) -> None:
    opened = Opened(path, [(DATA, 0, b"")] * 8)
    seqs, lsns = array("Q", [1]), array("Q", [opened.end_lsn])
    before = sys.getrefcount(seqs)
    assert sys.getrefcount(lsns) == before
    for _ in range(3):
        opened.files.know(3, 0, 1, 8, opened.end_lsn, seqs, lsns)
    assert sys.getrefcount(seqs) == before + 1  # once for the group in that file
    assert opened.files.load_seq(0, 1, NAMES) is None  # what is known now leads nowhere
    for group in range(100, 164):
        opened.files.know(3, group, 1, 8, opened.end_lsn, seqs, lsns)
    assert sys.getrefcount(seqs) == before + 64
    opened.files.drop(3)
    assert sys.getrefcount(seqs) == sys.getrefcount(lsns) == before
    opened.files.know(3, 0, 1, 8, opened.end_lsn, seqs, lsns)
    opened.files = OpenFiles()
    assert sys.getrefcount(seqs) == sys.getrefcount(lsns) == before


def test_points_that_lead_astray_find_nothing(path: Path) -> None:
    opened = Opened(path, [(DATA, 0, b"0123456789")] * 20)
    end = opened.end_lsn
    for lsns in ([BASE - 8], [0], [ALL], [end], [BASE + 8], [BASE, BASE], [BASE, 0], []):
        seqs = array("Q", range(1, len(lsns) + 1))
        opened.files.know(3, 0, 1, ALL, end, seqs, array("Q", lsns))
        assert opened.files.load_seq(0, 1, NAMES) is None
    opened.files.know(3, 0, 1, ALL, ALL, array("Q", [1]), array("Q", [BASE]))
    assert opened.files.load_seq(0, 21, NAMES) is None  # behind the end of the file


def test_arguments_that_make_no_sense_are_refused() -> None:
    files = OpenFiles()
    good = array("Q", [1])
    for number in (-1, 32):
        with pytest.raises(ValueError, match="number must be from 0 to 31"):
            files.put(number, 0, 0, 0, 0)
        with pytest.raises(ValueError, match="number must be from 0 to 31"):
            files.drop(number)
        with pytest.raises(ValueError, match="number must be from 0 to 31"):
            files.know(number, 0, 0, 0, 0, good, good)
    with pytest.raises(ValueError, match="origin_lsn must be from 0 to 8"):
        files.put(0, 0, 8, 16, 0)
    for seqs in (array("Q"), array("Q", [1, 2]), b"1234567"):
        with pytest.raises(ValueError, match="as many 64-bit numbers"):
            files.know(0, 0, 0, 0, 0, seqs, good)
    with pytest.raises(TypeError):
        files.know(0, 0, 0, 0, 0, good, [1])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="names of load"):
        files.load(0, 0, ())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="names of load_seq"):
        files.load_seq(0, 0, ())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes 3 positional"):
        files.load(0, 0)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="takes 3 positional"):
        files.load_seq(0, 0)  # type: ignore[call-arg]
