"""Making, finding and removing regions, whatever has their names already."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import posix_ipc
import pytest

from logstore import (
    Corruption,
    IncompatibleFormat,
    InUse,
    InvalidArgument,
    LogstoreError,
    NotRunning,
    PermissionDenied,
)
from logstore.lsn import FIRST_LSN
from logstore.ring import region
from logstore.ring._ring import LAYOUT
from logstore.ring.layout import HEADER_SIZE
from tests.other_user import OTHER, root_only, run_as
from tests.ring.bench import RING, Bench, identity_of
from tests.service import ROOT, SHM, environment


def memory_of(path: Path) -> Path:
    """Return the shared-memory object's file."""
    return SHM / f"logstore.{path.name}"


@pytest.fixture
def named(place: Path) -> Iterator[Path]:
    """Return a directory whose name's shared memory is removed afterwards, whatever it is."""
    place.mkdir()
    yield place
    memory = memory_of(place)
    if memory.is_dir() and not memory.is_symlink():
        memory.rmdir()
    region.unlink(place.name)


def make(path: Path) -> None:
    """Create a small region."""
    region.create(identity_of(path), start_lsn=FIRST_LSN, head_lsn=FIRST_LSN)


def test_a_region_is_private_preallocated_and_gone_after_unlink(named: Path) -> None:
    make(named)
    found = memory_of(named).stat()
    assert found.st_size == HEADER_SIZE + RING
    assert found.st_blocks * 512 >= found.st_size
    assert found.st_mode & 0o777 == 0o600
    semaphore = SHM / f"sem.logstore.{named.name}"
    assert semaphore.stat().st_mode & 0o777 == 0o600
    region.unlink(named.name)
    assert not memory_of(named).exists()
    assert not semaphore.exists()
    region.unlink(named.name)  # again, and nothing happens


def test_attaching_gives_back_the_identity(named: Path) -> None:
    make(named)
    ring, identity = region.attach(named.name)
    assert identity == identity_of(named)
    assert ring.load(LAYOUT["head"]) == FIRST_LSN
    read_only, _ = region.attach(named.name, read_only=True)
    with pytest.raises(ValueError, match="read-only"):
        read_only.store(LAYOUT["head"], 0)
    with memoryview(read_only) as view, pytest.raises(TypeError):
        view[0] = 1


def test_a_mode_for_the_group_is_kept_whatever_the_umask(named: Path) -> None:
    mask = os.umask(0o077)
    try:
        identity = identity_of(named, mode=0o660)
        region.create(identity, start_lsn=FIRST_LSN, head_lsn=FIRST_LSN)
    finally:
        os.umask(mask)
    assert memory_of(named).stat().st_mode & 0o777 == 0o660
    assert (SHM / f"sem.logstore.{named.name}").stat().st_mode & 0o777 == 0o660


def test_a_name_that_is_taken_is_never_taken_over(named: Path) -> None:
    make(named)
    with pytest.raises(InUse):
        make(named)
    assert region.attach(named.name)[1] == identity_of(named)


def test_a_semaphore_that_a_killed_service_left_is_replaced(named: Path) -> None:
    posix_ipc.Semaphore(f"/logstore.{named.name}", posix_ipc.O_CREX, initial_value=7).close()
    make(named)
    semaphore = posix_ipc.Semaphore(f"/logstore.{named.name}")
    assert semaphore.value == 1
    semaphore.close()


def poke(path: Path, offset: int, value: bytes) -> None:
    """Change bytes of a region from outside."""
    with memory_of(path).open("r+b") as file:
        file.seek(offset)
        file.write(value)


def word(value: int) -> bytes:
    """Return eight bytes."""
    return struct.pack("<Q", value)


DAMAGES = {
    "half-made: no magic number yet": (LAYOUT["identity.magic"], word(0), NotRunning),
    "another magic number": (LAYOUT["identity.magic"], word(1), Corruption),
    "another layout": (LAYOUT["identity.layout_version"], b"\x63", IncompatibleFormat),
    "another header size": (LAYOUT["identity.header_size"], b"\x01", IncompatibleFormat),
    "a ring size that is no power of two": (LAYOUT["identity.ring_size"], word(99), Corruption),
    "another ring size": (LAYOUT["identity.ring_size"], word(RING * 2), Corruption),
    "a ring size of 0": (LAYOUT["identity.ring_size"], word(0), Corruption),
    "a salt that is none": (LAYOUT["identity.salt"], word(1 << 40), Corruption),
}


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("what", DAMAGES)
def test_a_region_that_is_not_what_it_should_be_is_refused(
    what: str, read_only: bool, named: Path
) -> None:
    offset, value, kind = DAMAGES[what]
    make(named)
    poke(named, offset, value)
    with pytest.raises(kind) as caught:
        region.attach(named.name, read_only=read_only)
    assert type(caught.value) is kind


@pytest.mark.parametrize("size", [0, 100, 4096, HEADER_SIZE, HEADER_SIZE + RING - 4096])
def test_a_region_of_the_wrong_size_is_refused_before_it_is_touched(size: int, named: Path) -> None:
    make(named)
    os.truncate(memory_of(named), size)
    with pytest.raises((NotRunning, Corruption)):
        region.attach(named.name)


def test_a_region_without_its_semaphore_is_just_starting_or_stopping(named: Path) -> None:
    make(named)
    posix_ipc.unlink_semaphore(f"/logstore.{named.name}")
    with pytest.raises(NotRunning, match="starting or stopping"):
        region.attach(named.name)


@pytest.mark.parametrize("squatter", ["file", "directory", "link", "dangling link", "fifo"])
@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.timeout(20)
def test_a_squatted_name_is_an_error_and_the_squatter_stays_as_it_is(
    squatter: str, read_only: bool, named: Path, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    memory = memory_of(named)
    if squatter == "file":
        memory.write_bytes(b"precious")
    elif squatter == "directory":
        memory.mkdir()
    elif squatter == "link":
        memory.symlink_to(target)
    elif squatter == "dangling link":
        memory.symlink_to(tmp_path / "nothing")
    else:
        os.mkfifo(memory)
    before = memory.lstat()
    with pytest.raises(LogstoreError):
        region.attach(named.name, read_only=read_only)
    with pytest.raises(LogstoreError):
        make(named)
    assert memory.lstat().st_ino == before.st_ino
    assert target.read_bytes() == b"precious"
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("squatter", ["link", "directory"])
def test_a_squatted_semaphore_is_an_error_and_leaves_no_region(
    squatter: str, named: Path, tmp_path: Path
) -> None:
    semaphore = SHM / f"sem.logstore.{named.name}"
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    if squatter == "link":
        semaphore.symlink_to(target)
        make(named)  # the link is removed, and not followed
        assert target.read_bytes() == b"precious"
        return
    semaphore.mkdir()
    try:
        with pytest.raises(PermissionDenied):
            make(named)
        assert not memory_of(named).exists()
    finally:
        semaphore.rmdir()


@root_only
def test_another_users_region_is_refused(named: Path) -> None:
    make(named)
    program = """
for read_only in (False, True):
    try:
        region.attach(sys.argv[1], read_only=read_only)
    except logstore.PermissionDenied as error:
        assert "another user" in str(error), error
    else:
        sys.exit("it was allowed")
"""
    run_as(program, named.name)


@root_only
def test_a_region_that_another_user_offers_to_everybody_is_refused(named: Path) -> None:
    make(named)
    for path in (memory_of(named), SHM / f"sem.logstore.{named.name}"):
        path.chmod(0o666)
        os.chown(path, OTHER, OTHER)
    program = f"""
for read_only in (False, True):
    try:
        region.attach(sys.argv[1], read_only=read_only)
    except logstore.PermissionDenied as error:
        assert "belongs to uid {OTHER}" in str(error), error
    else:
        sys.exit("it was allowed")
"""
    run_as(program, named.name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "/a", "-a", ".a", "_a", "a b", "a\0b", "ä", "a" * 64, "a\n", 5, None],
)
def test_a_bad_name_is_refused_with_the_rule(name: object) -> None:
    with pytest.raises(InvalidArgument, match="1 to 63 letters, digits"):
        region.require_name(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a", "0", "A-b_c.d", "x" * 63])
def test_a_good_name_is_good(name: str) -> None:
    assert region.require_name(name) == name


def test_a_directory_whose_path_is_too_long_is_refused_and_nothing_is_left(named: Path) -> None:
    identity = identity_of(named, directory=Path("/" + "d" * LAYOUT["directory.size"]))
    with pytest.raises(InvalidArgument, match="path"):
        region.create(identity, start_lsn=FIRST_LSN, head_lsn=FIRST_LSN)
    assert not memory_of(named).exists()


def test_two_regions_side_by_side_are_two_logs(place: Path, places: Iterator[Path]) -> None:
    one, two = Bench(place), Bench(next(places))
    one.attach().ring.append(b"one")
    two.attach().ring.append(b"two")
    assert [record.payload for record in one.drain()] == [b"one"]
    assert [record.payload for record in two.drain()] == [b"two"]
    one.close()
    two.close()


SMALL_SHM = """
import sys
from pathlib import Path
from logstore import SharedMemoryFull
from logstore.lsn import FIRST_LSN
from logstore.ring import region
from tests.ring.bench import identity_of
identity = identity_of(Path("/tmp/anywhere"), ring_size=1 << 24)
try:
    region.create(identity, start_lsn=FIRST_LSN, head_lsn=FIRST_LSN)
except SharedMemoryFull as error:
    left = [entry.name for entry in Path("/dev/shm").iterdir()]
    sys.exit(f"left behind: {left}" if left else None if "ring_size" in str(error) else str(error))
sys.exit("it was created")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small /dev/shm")
@pytest.mark.parametrize("size", ["64k", "1m", "16m"])
def test_a_dev_shm_that_is_too_small_is_an_error_at_once_and_nothing_is_left(size: str) -> None:
    mount = f'mount -t tmpfs -o size={size} none /dev/shm && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", mount, "sh", sys.executable, "-P", "-c", SMALL_SHM]
    done = subprocess.run(
        command, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
