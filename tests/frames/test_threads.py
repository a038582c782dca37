"""What long calls leave to other threads: the interpreter lock, but not the Survey they work on."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from logstore import frames
from tests.frames.reference import FIRST_LSN, SALT

LARGE = 32 << 20
ATTEMPTS = 50


@pytest.fixture
def no_forced_switches() -> Iterator[None]:
    """Let a thread keep the interpreter lock until it gives it up by itself."""
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(60)
    yield
    sys.setswitchinterval(interval_s)


def meanwhile(call: Callable[[], object], look: Callable[[], None]) -> bool:
    """Run `call` in a thread; `look` while it is inside, if this thread gets to run by then.

    With forced switches off, this thread runs before the call is over only if the call releases the
    interpreter lock. A loaded machine may still wake it too late, hence the attempts.
    """
    inside: list[bool] = []

    def work() -> None:
        inside.append(True)
        call()
        inside.append(False)

    for _ in range(ATTEMPTS):
        inside.clear()
        thread = threading.Thread(target=work)
        thread.start()
        seen = inside == [True]
        if seen:
            look()
        thread.join()
        if seen:
            return True
    return False


def nothing() -> None:
    pass


@pytest.mark.usefixtures("no_forced_switches")
def test_resync_and_checksums_release_the_interpreter_lock() -> None:
    zeros = bytearray(LARGE)
    assert meanwhile(lambda: frames.resync(zeros, 0, SALT, LARGE), nothing)
    assert meanwhile(lambda: frames.crc32c_portable(zeros), nothing)


@pytest.mark.usefixtures("no_forced_switches")
def test_a_short_checksum_keeps_the_interpreter_lock() -> None:
    short = bytes(1000)
    assert not meanwhile(lambda: [frames.crc32c_portable(short) for _ in range(1000)], nothing)


@pytest.mark.usefixtures("no_forced_switches")
def test_a_survey_that_is_being_fed_refuses_every_other_call() -> None:
    frame = frames.encode(bytes(LARGE), FIRST_LSN, 1, 0, 1, 0, 0, SALT)
    survey = frames.Survey(FIRST_LSN, SALT)
    calls: list[Callable[[], object]] = [
        lambda: survey.feed(b"", 0),
        lambda: survey.end_lsn,
        lambda: survey.digest,
        lambda: survey.groups(),
        lambda: survey.points(),
        lambda: survey.system(),
    ]

    def feed() -> None:
        nonlocal survey
        survey = frames.Survey(FIRST_LSN, SALT)
        survey.feed(frame, 2**63)

    def look() -> None:
        for call in calls:
            with pytest.raises(RuntimeError, match="in use by another call"):
                call()

    assert meanwhile(feed, look)
    assert survey.end_lsn == FIRST_LSN + len(frame)
