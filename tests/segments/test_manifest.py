"""MANIFEST: one right form, whole or refused, old or new."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from logstore.errors import Corruption, DiskFull, IncompatibleFormat, InvalidArgument, SyncFailed
from logstore.lsn import FIRST_LSN
from logstore.segments import manifest as manifests
from logstore.segments.manifest import MANIFEST, Manifest, SealedSegment
from tests.memory_directory import MemoryDirectory
from tests.segments.small_log import change, contents

SAMPLE = Manifest(
    uuid=bytes(range(16)),
    name="orders of 2024",
    epoch=12,
    clean=False,
    start_lsn=4096,
    sealed=(SealedSegment(4096, 8192, 0xA, 0xDEADBEEF), SealedSegment(8192, 8200, 0, 1)),
    active_base_lsn=8200,
)
TEXT = """\
logstore-manifest 1
uuid 000102030405060708090a0b0c0d0e0f
name orders of 2024
epoch 12
clean no
start 4096
segment 00000000000000004096 00000000000000008192 0000000a deadbeef
segment 00000000000000008192 00000000000000008200 00000000 00000001
active 00000000000000008200
"""


def _sealed_text(text: str) -> bytes:
    return text.encode() + f"crc {crc32c(text.encode()):08x}\n".encode()


def test_it_is_the_text_that_the_format_says() -> None:
    assert SAMPLE.encode() == _sealed_text(TEXT)


positions = st.lists(st.integers(0, 2**60 - 1).map(lambda n: n * 8), max_size=9, unique=True).map(
    sorted
)


@given(
    name=st.text(min_size=1, max_size=255).filter(str.isprintable),
    epoch=st.integers(0, 2**64 - 1),
    clean=st.booleans(),
    ends=positions,
    crcs=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
)
def test_every_manifest_comes_back(
    name: str, epoch: int, clean: bool, ends: list[int], crcs: tuple[int, int]
) -> None:
    pairs = zip(ends[::2], ends[1::2], strict=False)
    manifest = Manifest(
        uuid=os.urandom(16),
        name=name,
        epoch=epoch,
        clean=clean,
        start_lsn=ends[0] if ends else 4096,
        sealed=tuple(SealedSegment(base, end, *crcs) for base, end in pairs),
        active_base_lsn=ends[-1] if len(ends) % 2 else None,
    )
    assert Manifest.decode(manifest.encode()) == manifest


@given(st.lists(st.lists(st.integers(0, 5), max_size=6), max_size=6))
def test_what_is_kept_of_one_encoding_does_not_show_in_the_next(rows: list[list[int]]) -> None:
    for row in rows:
        sealed = tuple(SealedSegment(8 * n, 8 * n + 8, n, n) for n in row)
        lines = [f"segment {8 * n:020d} {8 * n + 8:020d} {n:08x} {n:08x}" for n in row]
        text = replace(SAMPLE, sealed=sealed).encode().decode()
        assert [line for line in text.splitlines() if line.startswith("segment")] == lines


def test_every_flipped_bit_is_refused() -> None:
    data = bytearray(SAMPLE.encode())
    for index in range(len(data)):
        for bit in range(8):
            data[index] ^= 1 << bit
            with pytest.raises(Corruption):
                Manifest.decode(bytes(data))
            data[index] ^= 1 << bit


def test_every_truncation_is_refused() -> None:
    data = SAMPLE.encode()
    for length in range(len(data)):
        with pytest.raises(Corruption):
            Manifest.decode(data[:length])


def test_anything_behind_it_is_refused() -> None:
    with pytest.raises(Corruption):
        Manifest.decode(SAMPLE.encode() + b"\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("epoch 12", "epoch 1_2"),
        ("epoch 12", "epoch 012"),
        ("epoch 12", "epoch -1"),
        ("epoch 12", "epoch twelve"),
        ("clean no", "clean No"),
        ("uuid 00", "uuid "),
        ("name orders of 2024\n", ""),
        ("start 4096", "start 4095"),
        ("start 4096\n", "start 4096\nsize 3\n"),
        ("00000000000000008192 00000000000000008200", "00000000000000008192 00000000000000008191"),
        ("00000000000000008192 00000000000000008200", "00000000000000008184 00000000000000008200"),
        ("active 00000000000000008200", "active 00000000000000008192"),
        ("active 00000000000000008200", "active 8200"),
        ("0000000a", "0000000A"),
        ("0000000a", "10000000a"),
        ("epoch 12", "epoch 18446744073709551616"),
        ("active 00000000000000008200", "active 09223372036854775808"),
    ],
)
def test_a_text_with_a_right_checksum_but_no_sense_is_refused(old: str, new: str) -> None:
    assert old in TEXT
    with pytest.raises(Corruption):
        Manifest.decode(_sealed_text(TEXT.replace(old, new)))


def test_a_newer_version_is_incompatible() -> None:
    with pytest.raises(IncompatibleFormat):
        Manifest.decode(_sealed_text(TEXT.replace("manifest 1", "manifest 2")))


@pytest.mark.parametrize("name", ["", "a\nb", "a\0b", "x" * 256])
def test_a_name_that_is_not_one_printable_line_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument):
        replace(SAMPLE, name=name).encode()


def test_a_new_log_is_empty_and_clean() -> None:
    directory = MemoryDirectory()
    assert manifests.load(directory) is None
    created = manifests.create(directory, "orders")
    assert manifests.load(directory) == created
    assert (created.epoch, created.clean, created.start_lsn) == (0, True, FIRST_LSN)
    assert (created.sealed, created.active_base_lsn) == ((), None)
    assert created.uuid != manifests.create(MemoryDirectory(), "orders").uuid


def test_a_damaged_manifest_is_refused_with_its_path() -> None:
    directory = MemoryDirectory()
    manifests.save(directory, SAMPLE)
    change(directory, MANIFEST, 3, b"X")
    with pytest.raises(Corruption, match="path /memory/MANIFEST"):
        manifests.load(directory)


def test_it_is_durable_before_it_takes_the_old_ones_name_and_then_so_is_the_name() -> None:
    directory = MemoryDirectory()
    calls: list[str] = []
    directory.fault = calls.append
    manifests.save(directory, SAMPLE)
    names_durable, temporary_there, *rest = calls
    assert (names_durable, temporary_there) == ("sync", "size")
    assert rest == ["create", "write", "sync_file", "rename", "sync"]


class Killed(BaseException):
    """Stand for a SIGKILL."""


@pytest.mark.parametrize("failure", [Killed(), OSError(errno.EIO, "EIO"), OSError(28, "full")])
def test_whatever_stops_a_save_the_old_or_the_new_one_is_there(failure: BaseException) -> None:
    new = replace(SAMPLE, epoch=13)
    for stop in range(20):
        directory = MemoryDirectory()
        manifests.save(directory, SAMPLE)
        left = stop

        def count(_: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise failure

        directory.fault = count
        try:
            manifests.save(directory, new)
        except (Killed, SyncFailed, DiskFull):
            directory.fault = None
            assert manifests.load(directory) in (SAMPLE, new)
            manifests.save(directory, new)
        else:
            assert left == 0 or stop > 6
        directory.fault = None
        assert manifests.load(directory) == new
        assert list(contents(directory)) == [MANIFEST]
    assert left > 0
