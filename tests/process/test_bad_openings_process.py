"""Opening and attaching to what is no log, or may not be: told, and nothing is left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import logstore
from logstore import (
    Corruption,
    InvalidArgument,
    LogstoreError,
    NotFound,
    NotRunning,
    PermissionDenied,
)
from logstore.ring._ring import LAYOUT
from tests.conftest import PREFIX
from tests.service import SHM, Service, environment, processes_of, shared_objects, until

pytestmark = pytest.mark.process

OPENINGS: dict[str, tuple[dict[str, Any], str]] = {
    "a ring that is no power of two": ({"ring_size": 100_000}, "ring_size.*power of two"),
    "a ring that is too small": ({"ring_size": "4KiB"}, "ring_size.*64 KiB"),
    "a ring size that is no size": ({"ring_size": "big"}, "ring_size.*64MiB"),
    "a segment that is too small": ({"segment_size": 100}, "segment_size.*8 KiB"),
    "a sync interval below zero": ({"sync_interval_s": -1}, "sync_interval_s"),
    "a mode for everybody": ({"mode": 0o666}, "mode.*0o600"),
    "a name with a slash": ({"name": "a/b"}, "1 to 63 letters"),
    "a name that is too long": ({"name": "x" * 64}, "1 to 63 letters"),
}


@pytest.mark.parametrize("what", OPENINGS)
def test_a_bad_setting_is_told_and_no_service_is_started(what: str, place: Path) -> None:
    flags, match = OPENINGS[what]
    with pytest.raises(InvalidArgument, match=match):
        logstore.open(place, **flags)
    until(lambda: not processes_of(place), "the service that told it has ended")
    assert not list(place.glob("*.seg"))


def test_a_directory_whose_name_cannot_be_a_logs_needs_a_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="1 to 63 letters"):
        logstore.open(tmp_path / "_no name_")


def test_an_unknown_name_says_how_to_start_it() -> None:
    with pytest.raises(NotRunning, match="logstore serve"):
        logstore.attach(f"{PREFIX}nobody")


@pytest.mark.parametrize("name", ["a b", "_a", "x" * 64])
def test_a_name_that_none_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match="1 to 63 letters"):
        logstore.attach(name)


def test_a_wrong_directory_is_not_found_and_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such directory"):
        logstore.attach(tmp_path / "nothing")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotFound, match="no log in this directory"):
        logstore.attach(tmp_path)
    with pytest.raises(InvalidArgument, match=r"not empty.*new or empty directory"):
        logstore.open(tmp_path, name=f"{PREFIX}wrong")
    assert (tmp_path / "file").read_text() == "mine"
    assert not list(tmp_path.glob("*.seg"))


@pytest.mark.parametrize("how", ["open", "attach"])
def test_a_file_in_place_of_the_directory_is_an_error_of_ours(how: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(LogstoreError) as caught:
            logstore.open(path) if how == "open" else logstore.attach(path)
        assert caught.value.path is not None
    assert (tmp_path / "file").read_text() == "mine"


def test_segments_without_a_manifest_are_corruption_and_not_a_new_log(place: Path) -> None:
    place.mkdir()
    (place / f"{4096:020d}.seg").write_bytes(bytes(4096))
    with pytest.raises(Corruption, match="MANIFEST") as caught:
        logstore.open(place)
    assert caught.value.path == place
    assert [path.name for path in place.glob("*.seg")] == [f"{4096:020d}.seg"]


def test_a_region_of_another_version_is_incompatible_and_stays(shared: Service) -> None:
    memory = SHM / f"logstore.{shared.name}"
    with memory.open("r+b") as file:
        file.seek(LAYOUT["identity.layout_version"])
        version = file.read(4)
        file.seek(LAYOUT["identity.layout_version"])
        file.write(b"\x63\0\0\0")
        file.flush()
        try:
            with pytest.raises(logstore.IncompatibleFormat, match="same version"):
                shared.attach()
        finally:
            file.seek(LAYOUT["identity.layout_version"])
            file.write(version)
    with shared.attach() as log:
        log.append(b"untouched", durability="synced", timeout=5)


AS_NOBODY = """
import sys, os
import logstore
place, name = sys.argv[1:]
for one in logstore.__all__:
    getattr(logstore, one)  # the other user may not read what is to be imported
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for call in (lambda: logstore.attach(name), lambda: logstore.attach(name, read_only=True),
             lambda: logstore.attach(place + "/"), lambda: logstore.open(place)):
    try:
        call()
    except logstore.PermissionDenied as error:
        assert error.errno, error
    else:
        sys.exit("it was allowed")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_denied_in_every_way(shared: Service) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", AS_NOBODY, str(shared.path), shared.name],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_may_not_be_made_is_denied(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(0o500)
    with pytest.raises(PermissionDenied):
        logstore.open(closed / "log")


OPEN_IN_SMALL_SHM = """
import sys
import logstore
try:
    logstore.open(sys.argv[1], ring_size="16MiB")
except logstore.SharedMemoryFull as error:
    sys.exit(0 if "ring_size" in str(error) and "shm-size" in str(error) else str(error))
sys.exit("it was opened")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small /dev/shm")
def test_a_dev_shm_that_is_too_small_is_told_by_open(place: Path) -> None:
    mount = 'mount -t tmpfs -o size=8m none /dev/shm && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", mount, "sh", sys.executable, "-P", "-c"]
    done = subprocess.run(
        [*command, OPEN_IN_SMALL_SHM, str(place)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    until(lambda: not processes_of(place), "the service that told it has ended")
    assert shared_objects(place.name) == []
