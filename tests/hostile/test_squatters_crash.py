"""Modes of what the service makes, and names that somebody has taken before it: told, untouched."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import logstore
from logstore import LogstoreError
from tests.service import SHM, Service

pytestmark = pytest.mark.crash

NOBODY = 65534
PRECIOUS = b"precious"
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o777], ids=oct)
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o660], ids=oct)
def test_everything_has_the_modes_that_were_asked_for_whatever_the_umask(
    umask: int, mode: int, clean_place: Path
) -> None:
    old = os.umask(umask)
    try:
        with logstore.open(clean_place, mode=mode, segment_size=8192) as log:
            for _ in range(20):
                log.append(bytes(1000), durability="synced", timeout=10)
            assert mode_of(clean_place) == {0o600: 0o700, 0o640: 0o750, 0o660: 0o770}[mode]
            # What is being replaced has a name of its own for a moment only.
            passing = ("service.log", "MANIFEST.tmp", "next.tmp")
            ours = [path for path in clean_place.iterdir() if path.name not in passing]
            assert {path.name for path in ours} >= {"lock", "MANIFEST", f"{4096:020d}.seg"}
            ours += [SHM / f"logstore.{log.name}", SHM / f"sem.logstore.{log.name}"]
            assert {path.name: mode_of(path) for path in ours} == {p.name: mode for p in ours}
    finally:
        os.umask(old)


def make_file(path: Path, target: Path) -> None:
    path.write_bytes(PRECIOUS)


def make_large_file(path: Path, target: Path) -> None:
    path.write_bytes(PRECIOUS * 200_000)


def make_foreign_file(path: Path, target: Path) -> None:
    path.write_bytes(PRECIOUS)
    os.chown(path, NOBODY, NOBODY)


def make_closed_file(path: Path, target: Path) -> None:
    path.write_bytes(PRECIOUS * 1000)
    path.chmod(0)


def make_directory(path: Path, target: Path) -> None:
    path.mkdir()
    (path / "inside").write_bytes(PRECIOUS)


def make_link(path: Path, target: Path) -> None:
    path.symlink_to(target)


def make_dangling_link(path: Path, target: Path) -> None:
    path.symlink_to(target.parent / "nothing")


def make_fifo(path: Path, target: Path) -> None:
    os.mkfifo(path)


SQUATTERS: dict[str, Callable[[Path, Path], None]] = {
    "file": make_file,
    "large file": make_large_file,
    "file of another": make_foreign_file,
    "closed file": make_closed_file,
    "directory": make_directory,
    "link": make_link,
    "dangling link": make_dangling_link,
    "fifo": make_fifo,
}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Return a file that a link points to."""
    path = tmp_path / "target"
    path.write_bytes(PRECIOUS)
    return path


@pytest.fixture
def squat(target: Path) -> Iterator[Callable[[str, Path], Callable[[], None]]]:
    """Return a function that takes a name, and returns one that says if it is as it was."""
    taken: list[Path] = []

    def take(squatter: str, path: Path) -> Callable[[], None]:
        if squatter == "file of another" and os.geteuid() != 0:
            pytest.skip("only root can make another user's file")
        SQUATTERS[squatter](path, target)
        taken.append(path)
        before = path.lstat()

        def check() -> None:
            now = path.lstat()
            same = ("st_ino", "st_mode", "st_size", "st_uid", "st_mtime_ns")
            assert [getattr(now, key) for key in same] == [getattr(before, key) for key in same]
            assert target.read_bytes() == PRECIOUS
            assert not (target.parent / "nothing").exists()

        return check

    yield take
    for path in taken:
        if path.is_dir() and not path.is_symlink():
            (path / "inside").unlink()
            path.rmdir()
        else:
            path.unlink(missing_ok=True)


Squat = Callable[[str, Path], Callable[[], None]]


@pytest.mark.parametrize("squatter", SQUATTERS)
def test_a_taken_name_of_the_region_is_told_and_left_alone(
    squatter: str, squat: Squat, place: Path
) -> None:
    check = squat(squatter, SHM / f"logstore.{place.name}")
    answer = Service(place, place.name).try_start()
    assert answer is not None
    assert answer["error"] in ("InUse", "PermissionDenied"), answer
    check()
    assert not list(place.glob("*.seg"))


@pytest.mark.parametrize("squatter", SQUATTERS)
def test_a_taken_name_of_the_lock_file_is_told_and_left_alone(
    squatter: str, squat: Squat, place: Path
) -> None:
    if squatter not in ("directory", "link", "dangling link", "fifo"):
        pytest.skip("a file there is the lock file: the directory is the owner's alone")
    place.mkdir(0o700)
    check = squat(squatter, place / "lock")
    answer = Service(place, place.name).try_start()
    assert answer is not None
    assert answer["error"] == "PermissionDenied", answer
    check()


@pytest.mark.parametrize("squatter", ["file", "file of another", "dangling link", "fifo"])
def test_a_taken_name_of_the_directory_is_told_and_left_alone(
    squatter: str, squat: Squat, place: Path
) -> None:
    check = squat(squatter, place)
    with pytest.raises(LogstoreError) as caught:
        logstore.open(place)
    assert caught.value.path == place
    check()


@pytest.mark.parametrize("squatter", ["directory", "link", "dangling link"])
def test_a_taken_name_of_the_semaphore_never_leads_elsewhere(
    squatter: str, squat: Squat, place: Path, target: Path
) -> None:
    check = squat(squatter, SHM / f"sem.logstore.{place.name}")
    service = Service(place, place.name)
    answer = service.try_start()
    if squatter == "directory":
        assert answer is not None
        assert answer["error"] == "PermissionDenied"
        check()
        assert not (SHM / f"logstore.{place.name}").exists()
    else:  # a link of our own is removed, and not followed
        assert answer == {}
        assert target.read_bytes() == PRECIOUS
        assert service.stop() == 0
