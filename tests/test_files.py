"""The one module that touches files: names, modes, whole writes, and errors with their path."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from logstore.files import Directory
from tests.faults.scene import broken
from tests.programs.faulty_calls import FaultyCalls


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    with Directory.open(tmp_path / "log", create=True) as opened:
        yield opened


def _new(directory: Directory, name: str, data: bytes = b"") -> int:
    fd = directory.create(name)
    directory.write(fd, data, 0)
    return fd


def test_a_new_directory_has_exactly_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        Directory.open(tmp_path / "a" / "b", create=True, mode=0o770).close()
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o770


def test_an_existing_directory_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir(mode=0o755)
    Directory.open(tmp_path / "log", create=True, mode=0o700).close()
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o755


def test_a_missing_directory_is_not_made_unasked(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Directory.open(tmp_path / "log", create=False)


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    with pytest.raises(NotADirectoryError):
        Directory.open(tmp_path / "log", create=True)


def test_a_closed_directory_may_be_closed_again(tmp_path: Path) -> None:
    directory = Directory.open(tmp_path, create=False)
    directory.close()
    directory.close()


def test_a_new_file_has_exactly_its_mode_whatever_the_umask(directory: Directory) -> None:
    old = os.umask(0o077)
    try:
        directory.close_file(directory.create("x", 0o660))
    finally:
        os.umask(old)
    assert stat.S_IMODE((directory.path / "x").stat().st_mode) == 0o660


def test_creating_never_takes_an_existing_name(directory: Directory) -> None:
    (directory.path / "link").symlink_to("nowhere")
    (directory.path / "file").write_text("kept")
    for name in ("link", "file"):
        with pytest.raises(FileExistsError) as caught:
            directory.create(name)
        assert caught.value.filename == str(directory.path / name)
    assert (directory.path / "file").read_text() == "kept"
    assert not (directory.path / "nowhere").exists()


def test_links_are_not_followed(directory: Directory) -> None:
    (directory.path / "file").write_text("kept")
    (directory.path / "link").symlink_to("file")
    for opening in (directory.open_read, directory.open_write):
        with pytest.raises(OSError, match="link") as caught:
            opening("link")
        assert caught.value.errno == errno.ELOOP
    assert not directory.sizes().get("link")


@pytest.mark.timeout(10)
def test_a_fifo_of_a_files_name_is_refused_and_does_not_hang(directory: Directory) -> None:
    os.mkfifo(directory.path / "fifo")
    for opening in (directory.open_read, directory.open_write):
        with pytest.raises(OSError, match="not a regular file"):
            opening("fifo")


def test_a_folder_of_a_files_name_is_refused(directory: Directory) -> None:
    directory.make_directory("folder")
    with pytest.raises(OSError, match="not a regular file"):
        directory.open_read("folder")


def test_descriptors_are_not_inherited(directory: Directory) -> None:
    fd = directory.create("x")
    assert not os.get_inheritable(fd)
    assert not os.get_inheritable(directory.fd)
    directory.close_file(fd)


def test_names_and_sizes_list_what_is_there(directory: Directory) -> None:
    directory.close_file(_new(directory, "a", b"12345"))
    directory.make_directory("folder")
    directory.close_file(_new(directory, "folder/b", b"1"))
    assert sorted(directory.names()) == ["a", "folder"]
    assert directory.sizes() == {"a": 5}
    assert directory.names("folder") == ["b"]
    assert directory.sizes("folder") == {"b": 1}
    assert directory.size("folder/b") == 1


def test_making_a_folder_again_is_fine_and_a_file_in_its_place_is_not(
    directory: Directory,
) -> None:
    directory.make_directory("folder")
    directory.make_directory("folder")
    (directory.path / "link").symlink_to("folder")
    with pytest.raises(NotADirectoryError):
        directory.make_directory("link")


def test_a_rename_replaces_and_an_error_afterwards_has_the_new_name(directory: Directory) -> None:
    directory.close_file(_new(directory, "b", b"old"))
    fd = _new(directory, "a", b"new")
    directory.rename("a", "b")
    directory.sync()
    assert (directory.path / "b").read_bytes() == b"new"
    assert not directory.exists("a")
    with pytest.raises(OSError, match="Invalid") as caught:
        directory.truncate(fd, -1)
    assert caught.value.filename == str(directory.path / "b")
    directory.close_file(fd)


def test_an_open_file_outlives_its_name(directory: Directory) -> None:
    fd = _new(directory, "a", b"here")
    directory.unlink("a")
    assert directory.read(fd, 10, 0) == b"here"
    assert directory.file_size(fd) == 4
    directory.close_file(fd)


@pytest.mark.parametrize("call", ["open_read", "open_write", "size", "unlink"])
def test_a_missing_file_is_an_error_with_its_full_path(directory: Directory, call: str) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        getattr(directory, call)("gone")
    assert caught.value.filename == str(directory.path / "gone")
    assert not directory.exists("gone")


def test_reading_gives_fewer_bytes_only_at_the_end(directory: Directory) -> None:
    fd = _new(directory, "a", b"0123456789")
    assert directory.read(fd, 4, 3) == b"3456"
    assert directory.read(fd, 4, 8) == b"89"
    assert directory.read(fd, 4, 20) == b""
    buffer = bytearray(4)
    assert directory.read_into(fd, buffer, 8) == 2
    assert bytes(buffer) == b"89\0\0"
    directory.close_file(fd)


def test_allocated_space_is_zero_and_truncation_cuts_it(directory: Directory) -> None:
    fd = _new(directory, "a", b"1")
    directory.allocate(fd, 10_000)
    directory.sync_file(fd)
    assert directory.read(fd, 20_000, 0) == b"1" + bytes(9_999)
    assert os.fstat(fd).st_blocks * 512 >= 10_000
    directory.truncate(fd, 5)
    assert directory.sizes() == {"a": 5}
    directory.close_file(fd)


def test_short_reads_and_writes_go_on(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_write, real_read, real_readv = os.pwrite, os.pread, os.preadv
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real_write(fd, data[:3], at))
    monkeypatch.setattr(os, "pread", lambda fd, length, at: real_read(fd, min(length, 3), at))
    monkeypatch.setattr(os, "preadv", lambda fd, views, at: real_readv(fd, [views[0][:3]], at))
    fd = _new(directory, "a", b"0123456789")
    assert (directory.path / "a").read_bytes() == b"0123456789"
    assert directory.read(fd, 100, 1) == b"123456789"
    buffer = bytearray(8)
    assert directory.read_into(fd, buffer, 2) == 8
    assert bytes(buffer) == b"23456789"
    directory.close_file(fd)


def test_a_write_that_makes_no_progress_is_an_error(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    fd = directory.create("a")
    monkeypatch.setattr(os, "pwrite", lambda *_: 0)
    with pytest.raises(OSError, match="wrote nothing"):
        directory.write(fd, b"x", 0)
    directory.close_file(fd)


def test_a_failed_write_tells_which_file(directory: Directory) -> None:
    directory.close_file(_new(directory, "a", b"1"))
    fd = directory.open_read("a")
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        directory.write(fd, b"x", 0)
    assert caught.value.errno == errno.EBADF
    assert caught.value.filename == str(directory.path / "a")
    directory.close_file(fd)


def test_buffers_of_any_item_size_are_taken_as_bytes(directory: Directory) -> None:
    import array

    fd = directory.create("a")
    directory.write(fd, array.array("I", [1, 2]), 0)
    assert directory.read(fd, 100, 0) == array.array("I", [1, 2]).tobytes()
    directory.close_file(fd)


def test_a_file_that_is_renamed_while_the_directory_is_listed_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a segment is renamed between the listing and the look at its size."""
    (tmp_path / "stays").write_bytes(b"12345")
    (tmp_path / "goes").write_bytes(b"1")
    listed = os.scandir

    class Listing:
        def __init__(self, fd: int) -> None:
            self._entries = listed(fd)

        def __enter__(self) -> list[os.DirEntry[str]]:
            entries = list(self._entries)
            (tmp_path / "goes").unlink()
            return entries

        def __exit__(self, *_: object) -> None:
            self._entries.close()

    monkeypatch.setattr(os, "scandir", Listing)
    with Directory.open(tmp_path, create=False) as directory:
        assert directory.sizes() == {"stays": 5}


def test_a_sync_is_of_the_very_file_or_folder_and_its_error_is_told(directory: Directory) -> None:
    fd = _new(directory, "file", b"1")
    directory.make_directory("folder")
    with broken(FaultyCalls(frozenset({"sync"}), 0, errno.EIO, None)) as faults:
        with pytest.raises(OSError, match="Input/output error") as caught:
            directory.sync_file(fd)
        assert caught.value.filename == str(directory.path / "file")
        for folder in (".", "folder"):
            with pytest.raises(OSError, match="Input/output error"):
                directory.sync(folder)
    assert faults.fired == [("fdatasync", "file"), ("fsync", "log"), ("fsync", "folder")]
    directory.close_file(fd)
