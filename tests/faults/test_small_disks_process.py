"""Real file systems, too small or cut off their disk, under a real service.

Everything is mounted in a namespace of its own, which only root may make.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service import environment

NAMESPACE = ("unshare", "--mount", "--propagation", "private")


@functools.cache
def why_not(*needed: str) -> str:
    """Say why nothing can be mounted here; "" if it can."""
    if os.geteuid():
        return "needs root, to mount"
    missing = [tool for tool in ("unshare", "mount", *needed) if shutil.which(tool) is None]
    if missing:
        return f"not installed: {missing[0]}"
    done = subprocess.run([*NAMESPACE, "true"], capture_output=True, text=True, check=False)
    return f"no mount namespace: {done.stderr.strip()}" if done.returncode else ""


def mounted(*arguments: object, program: str = "mounted", timeout_s: float = 100.0) -> str:
    """Run a program of tests.programs in a mount namespace; return what it printed."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    done = subprocess.run(
        [*NAMESPACE, sys.executable, "-P", "-m", f"tests.programs.{program}", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        timeout=timeout_s,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("first", "last"),
    [(1024, 1024 + 6 * 64), pytest.param(1024, 1024 + 48 * 64, marks=pytest.mark.slow)],
)
def test_a_full_disk_is_told_and_each_bit_of_room_is_used_without_a_restart(
    clean_place: Path, first: int, last: int
) -> None:
    mounted("growing", clean_place, first, last, 64)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("size=64k,nr_inodes=2", "refused"),
        ("size=16k", "full"),
        pytest.param("size=8k", "full", marks=pytest.mark.slow),
        pytest.param("size=100k", "full", marks=pytest.mark.slow),
        pytest.param("size=4k", "full", marks=pytest.mark.slow),
        pytest.param("size=1m,nr_inodes=1", "refused", marks=pytest.mark.slow),
        pytest.param("size=1m,nr_inodes=3", "full", marks=pytest.mark.slow),
    ],
)
def test_a_disk_that_is_full_at_the_very_start_is_told_and_room_mends_it(
    clean_place: Path, options: str, found: str
) -> None:
    assert mounted("starting", clean_place, options) == found


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param(pages, marks=() if pages in (-1, 0, 1) else pytest.mark.slow)
        for pages in (-300, -250, -200, -150, -100, -50, -20, -10, -5, -3, -2, -1, 0, 1, 2, 100)
    ],
)
def test_a_full_shared_memory_is_told_at_the_start_and_never_a_sigbus(
    clean_place: Path, pages: int
) -> None:
    assert mounted("memory", clean_place, pages) == ("served" if pages > 0 else "refused")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("cuts", [1, pytest.param(25, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("kind", "size"), [("ext4", 64 << 20), ("xfs", 320 << 20)])
def test_a_file_system_that_is_cut_off_its_disk_keeps_what_was_synced(
    clean_place: Path, tmp_path: Path, kind: str, size: int, cuts: int
) -> None:
    mounted("cut", clean_place, formatted(tmp_path, kind, size), kind, cuts, timeout_s=800.0)


def formatted(where: Path, kind: str, size: int) -> Path:
    """Make a file with a file system in it."""
    reason = why_not(f"mkfs.{kind}", "losetup")
    if reason or not Path("/dev/loop-control").exists():
        pytest.skip(reason or "no loop devices")
    image = where / "image"
    image.touch()
    os.truncate(image, size)
    subprocess.run([f"mkfs.{kind}", "-q", image], check=True, capture_output=True)
    return image


@pytest.mark.parametrize(
    ("number", "ending"),
    [
        pytest.param(
            number, ending, marks=() if (number, ending) == (30, "cut") else pytest.mark.slow
        )
        for number in (1, 2, 30, 31, 75, 200)
        for ending in ("stop", "kill", "cut")
    ],
)
def test_a_disk_that_refuses_one_write_and_is_sound_then_makes_no_ack_false(
    clean_place: Path, tmp_path: Path, number: int, ending: str
) -> None:
    image = formatted(tmp_path, "ext4", 64 << 20)
    if not Path("/dev/fuse").exists():
        pytest.skip("no FUSE")
    mounted(clean_place, image, number, ending, program="sick_disk")
