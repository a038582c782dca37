"""A disk that cannot be read is never taken for the end of the log."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logstore import LogstoreError, Record
from logstore.files import Directory
from logstore.ring import region
from logstore.segments.recover import recover
from tests.faults.scene import Scene, broken
from tests.oracle import Oracle
from tests.programs import faulty_calls
from tests.programs.faulty_calls import FaultyCalls
from tests.service import environment

READS = frozenset({"open", "read", "look"})


@pytest.fixture
def scene(place: Path) -> Iterator[Scene]:
    """Return a running log of several segments, all of it in the files."""
    scene = Scene(place, Oracle(), FaultyCalls(frozenset()))
    with broken(scene.faults):
        assert scene.start()
        for n in range(12):
            scene.append(200 * n)
        scene.settle()
        yield scene
        scene.clean_up()


def failing(scene: Scene, after: int, number: int, times: int | None) -> FaultyCalls:
    """Put other faults in the place of the scene's."""
    faults = FaultyCalls(READS, after, number, times)
    for name in faulty_calls.MODULES:
        sys.modules[name].os = faults  # type: ignore[attr-defined]
    return faults


def contents(path: Path) -> dict[str, bytes]:
    """Return all files of a directory."""
    files = [file for file in sorted(path.rglob("*")) if file.is_file()]
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.EMFILE, errno.ESTALE])
@pytest.mark.parametrize("back", [False, True], ids=["forward", "backward"])
def test_reading_gives_everything_or_an_error(scene: Scene, number: int, back: bool) -> None:
    assert scene.stop()
    assert scene.start(), "anew, with nothing in the ring"
    log = scene.log
    assert log is not None
    everything = list(log.read(reverse=back))
    assert len(everything) == 12
    for after in itertools.count():
        faults = failing(scene, after, number, 1)
        got: list[Record] = []
        error = raised(lambda got=got: got.extend(log.read(reverse=back)))  # type: ignore[misc]
        assert got == everything[: len(got)]
        if error is not None:
            assert (error.errno, bool(faults.fired)) == (number, True)
            assert error.path is not None
            continue
        assert len(got) == len(everything)
        if not faults.fired:
            break
    assert after > 5


@pytest.mark.parametrize("times", [1, None], ids=["once", "for ever"])
def test_recovery_of_what_cannot_be_read_is_refused_and_touches_nothing(
    scene: Scene, times: int | None, tmp_path: Path
) -> None:
    copies = tmp_path / "copies"
    # As after a loss of power: no region, a torn tail, segments that are not sealed.
    shutil.copytree(scene.path, copies / "torn")
    newest = max((copies / "torn").glob("*.seg"))
    data = newest.read_bytes()
    newest.write_bytes(data[: len(data.rstrip(b"\0")) + 30] + b"torn" * 20)
    shutil.copytree(copies / "torn", copies / "sound")
    with Directory.open(copies / "sound", create=False) as directory:
        end_lsn = recover(directory).end_lsn
    untouched = 0
    for after in itertools.count():
        copy = copies / "copy"
        shutil.copytree(copies / "torn", copy)
        before = contents(copy)
        with Directory.open(copy, create=False) as directory:
            faults = failing(scene, after, errno.EIO, times)
            error = raised(lambda: recover(directory))
            faults.heal()
            if error is not None:
                assert error.path is not None
                untouched += contents(copy) == before
            assert recover(directory).end_lsn == end_lsn
        shutil.rmtree(copy)
        if not faults.fired:
            break
        assert error is not None
    assert untouched > 10


def raised(call: Callable[[], object]) -> LogstoreError | None:
    """Call something and return the documented error that it raised."""
    try:
        call()
    except LogstoreError as error:
        return error
    return None


@pytest.mark.parametrize("command", ["read", "verify", "dump", "groups", "status"])
@pytest.mark.parametrize(
    "after", [3, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 1, 6, 9))]
)
def test_commands_tell_a_read_error_in_one_line(
    scene: Scene, command: str, after: int, tmp_path: Path
) -> None:
    assert scene.stop()
    shutil.copy(faulty_calls.__file__, tmp_path / "sitecustomize.py")
    extra = {"PYTHONPATH": str(tmp_path), "LOGSTORE_FAULT": f"open,read,look {after} 5 0"}
    done = subprocess.run(
        [sys.executable, "-m", "logstore.cli", command, f"{scene.path}/"],
        capture_output=True,
        text=True,
        check=False,
        env=environment({**extra, "PYTHONDONTWRITEBYTECODE": "1"}),
    )
    assert "Traceback" not in done.stderr, done.stderr
    if done.returncode:
        assert done.returncode in range(1, 8)
        assert os.strerror(errno.EIO) in done.stdout + done.stderr, done
    region.unlink(scene.path.name)
