"""Cursor files: one right form, whole or refused, old or new."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable

import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from logstore.errors import (
    Corruption,
    IncompatibleFormat,
    InvalidArgument,
    NotFound,
    SyncFailed,
)
from logstore.ring import region
from logstore.segments import cursors
from logstore.segments.cursors import SavedCursor
from tests.memory_directory import MemoryDirectory

SAMPLE = SavedCursor("billing", "orders of 2024", 8192, 1_700_000_000_000_000_000)
TEXT = """\
logstore-cursor 1
name billing
group orders of 2024
position 8192
updated 1700000000000000000
"""

NAMES = ["a", "billing.2-x_", "9", "x" * 63, "", ".hidden", "a/b", "a~", "x" * 64, "ä", "a\n", 5]


def sealed(text: str) -> bytes:
    return text.encode() + f"crc {crc32c(text.encode()):08x}\n".encode()


def test_it_is_the_text_that_the_format_says() -> None:
    assert SAMPLE.encode() == sealed(TEXT)
    assert SavedCursor("all", None, 4096, 1).encode() == sealed(
        "logstore-cursor 1\nname all\nposition 4096\nupdated 1\n"
    )


@given(
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True),
    group=st.none() | st.text(min_size=1, max_size=20).filter(str.isprintable),
    position=st.integers(1, 2**60 - 1).map(lambda n: n * 8),
    updated_ns=st.integers(0, 2**63),
)
def test_every_cursor_comes_back(
    name: str, group: str | None, position: int, updated_ns: int
) -> None:
    saved = SavedCursor(name, group, position, updated_ns)
    assert SavedCursor.decode(saved.encode()) == saved


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 100,
        SAMPLE.encode()[:-1],
        SAMPLE.encode() + b"\n",
        SAMPLE.encode().replace(b"8192", b"8200"),
        sealed(TEXT.replace("8192", "8191")),
        sealed(TEXT.replace("8192", "0")),
        sealed(TEXT.replace("8192", "-8")),
        sealed(TEXT.replace("8192", "08192")),
        sealed(TEXT.replace("8192", str(2**63))),
        sealed(re.sub("updated .*", "updated -1", TEXT)),
        sealed(re.sub("updated .*", f"updated {2**64}", TEXT)),
        sealed(TEXT.replace("billing", "../MANIFEST")),
        sealed(TEXT.replace("position 8192\n", "")),
        sealed(TEXT + "more 1\n"),
        sealed("something else"),
    ],
)
def test_anything_else_is_corrupt(data: bytes) -> None:
    with pytest.raises(Corruption):
        SavedCursor.decode(data)


def test_every_bit_counts() -> None:
    data = SAMPLE.encode()
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Corruption):
            SavedCursor.decode(bytes(changed))


def test_a_newer_version_is_not_called_corrupt() -> None:
    with pytest.raises(IncompatibleFormat):
        SavedCursor.decode(sealed(TEXT.replace("cursor 1", "cursor 2")))


@pytest.mark.parametrize("name", NAMES)
def test_a_cursor_can_be_called_what_a_log_can(name: str) -> None:
    def allowed(check: Callable[[str], str]) -> bool:
        try:
            return check(name) == name
        except InvalidArgument:
            return False

    assert allowed(cursors.require_cursor_name) == allowed(region.require_name)


def test_it_is_saved_loaded_listed_and_deleted() -> None:
    directory = MemoryDirectory()
    assert cursors.names(directory) == []
    assert cursors.load(directory, "billing") is None
    cursors.save(directory, SAMPLE)
    assert cursors.load(directory, "billing") == SAMPLE
    assert cursors.names(directory) == ["billing"]
    cursors.delete(directory, "billing")
    assert cursors.names(directory) == []
    assert directory.open_count == 0
    with pytest.raises(NotFound):
        cursors.delete(directory, "billing")


def test_a_file_under_another_name_is_refused_and_named() -> None:
    directory = MemoryDirectory()
    cursors.save(directory, SAMPLE)
    directory.rename("cursors/billing", "cursors/other")
    with pytest.raises(Corruption) as caught:
        cursors.load(directory, "other")
    assert caught.value.path == directory.path / "cursors/other"


class Killed(BaseException):
    """Stand for the death of the process."""


@pytest.mark.parametrize("failure", [OSError(errno.EIO, os.strerror(errno.EIO)), Killed()])
def test_whatever_stops_a_save_the_old_or_the_new_one_is_there(failure: BaseException) -> None:
    newer = SavedCursor("billing", None, 16384, 5)
    before = MemoryDirectory()
    cursors.save(before, SAMPLE)
    for stop_at in range(1, 100):
        directory = before.copied()
        calls = 0

        def fault(_: str, stop_at: int = stop_at) -> None:
            nonlocal calls
            calls += 1
            if calls == stop_at:
                raise failure

        directory.fault = fault
        try:
            cursors.save(directory, newer)
        except (SyncFailed, Killed):
            directory.fault = None
            assert cursors.load(directory, "billing") in (SAMPLE, newer)
            assert cursors.names(directory) == ["billing"]
            cursors.save(directory, newer)
            assert cursors.load(directory, "billing") == newer
        else:
            assert stop_at > 5
            return
    raise AssertionError("a save has no end")
