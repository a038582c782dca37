"""The wall clock of a service jumps: records are still found by time, age limits drop what is old
and nothing else, and every start recovers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Final

import pytest

import logstore
from tests.conftest import Serve
from tests.fail_points import PROGRAMS
from tests.service import Service, until

pytestmark = pytest.mark.crash

HOUR: Final = 3600
YEAR: Final = 365 * 24 * HOUR
TO_1970: Final = 24 * HOUR - int(time.time())
SEGMENT: Final = 1 << 14
PAYLOAD: Final = bytes(700)


@dataclass(slots=True)
class Jumping:
    """A service with a wall clock that a test sets, and what was appended when by that clock.

    Attributes:
        appended: (LSN, time before the append, time after it), in seconds since 1970.
    """

    service: Service
    control: Path
    offset: int = 0
    appended: list[tuple[int, float, float]] = field(default_factory=list)

    def jump(self, offset: int) -> None:
        """Set the service's wall clock so many seconds off ours."""
        self.offset = offset
        fresh = self.control.with_suffix(".new")
        fresh.write_text(str(offset))
        fresh.rename(self.control)

    def append(self, count: int) -> None:
        """Append records, and wait for the mark behind the last one."""
        with self.service.attach() as log:
            for _ in range(count):
                before = time.time() + self.offset
                lsn = log.append(PAYLOAD, durability="written", timeout=5)
                self.appended.append((lsn, before, time.time() + self.offset))
            marked = self.appended[-1][0] + 32 + len(PAYLOAD) + 8
            until(lambda: log.watermarks().reserved >= marked, "the pause is marked")
            log.sync(timeout=5)

    def kill(self, role: str) -> None:
        """Kill a role and wait for the next one."""
        self.service.until_restarted(role, self.service.kill(role))

    def start_again(self, *, killed: bool) -> None:
        """Stop the service, in order or not, and start it."""
        if killed:
            self.service.kill_all()
        else:
            assert self.service.stop() == 0
        self.service.start()

    def nothing_is_missed(self) -> None:
        """Check what `lsn_at` promises, for times around everything that was appended."""
        with self.service.attach() as log:
            for at in chain.from_iterable(
                (before - 0.5, after) for _, before, after in self.appended
            ):
                found = log.lsn_at(datetime.fromtimestamp(at, UTC))
                missed = [lsn for lsn, before, _ in self.appended if before >= at and lsn < found]
                assert not missed, f"at {at}: {found}, though {missed} came later"
            assert [record.lsn for record in log.read()] == [lsn for lsn, *_ in self.appended]


@pytest.fixture
def jumping(serve: Serve, tmp_path: Path) -> Callable[..., Jumping]:
    """Return a function that starts a service with a clock to be set."""
    control = tmp_path / "clock"
    control.write_text("0")
    shutil.copy(PROGRAMS / "jumping_clock.py", tmp_path / "sitecustomize.py")
    environment = {"PYTHONPATH": str(tmp_path), "LOGSTORE_TEST_CLOCK": str(control)}

    def start(**options: object) -> Jumping:
        return Jumping(serve(environment=environment, segment_size=SEGMENT, **options), control)

    return start


SLOW: Final = pytest.mark.slow


@pytest.mark.parametrize("rotating", [False, pytest.param(True, marks=SLOW)])
@pytest.mark.parametrize(
    "offset",
    [-HOUR, *(pytest.param(offset, marks=SLOW) for offset in (-5, TO_1970, HOUR, YEAR))],
)
def test_records_are_found_by_time_after_the_clock_jumped(
    offset: int, rotating: bool, jumping: Callable[..., Jumping]
) -> None:
    log = jumping()
    log.append(40 if rotating else 5)
    log.jump(offset)
    log.append(40 if rotating else 5)
    log.jump(0)
    log.append(5)
    log.nothing_is_missed()


@pytest.mark.parametrize(
    "how",
    [
        "committer killed",
        pytest.param("stopped", marks=SLOW),
        pytest.param("all killed", marks=SLOW),
    ],
)
def test_records_are_found_by_time_after_a_jump_during_a_restart(
    how: str, jumping: Callable[..., Jumping]
) -> None:
    log = jumping()
    log.append(5)
    log.jump(-HOUR)
    if how == "committer killed":
        log.kill("committer")
    else:
        log.start_again(killed=how == "all killed")
    log.append(5)
    log.start_again(killed=True)
    log.nothing_is_missed()


def dropped(log: Jumping) -> int:
    """Compact, and return how many records are gone."""
    with log.service.attach() as opened:
        opened.compact(timeout=10)
        start = opened.watermarks().start
    return sum(lsn < start for lsn, *_ in log.appended)


def test_an_age_limit_drops_nothing_young_after_the_clock_was_set_back(
    jumping: Callable[..., Jumping],
) -> None:
    log = jumping(retain_age_s=float(HOUR))
    log.append(80)
    log.jump(-2 * HOUR)
    log.append(80)
    assert dropped(log) == 0
    log.jump(-HOUR // 2)
    assert dropped(log) == 0, "the older half is half an hour old, by the clock of now"


@pytest.mark.slow
def test_an_age_limit_drops_what_was_appended_while_the_clock_was_ahead(
    jumping: Callable[..., Jumping],
) -> None:
    log = jumping(retain_age_s=float(HOUR))
    log.jump(10 * YEAR)
    log.append(80)
    log.jump(0)
    for _ in range(4):
        log.append(20)
    assert dropped(log) == 0
    log.jump(2 * HOUR)
    assert dropped(log) >= 100, "all but the newest segments"


@pytest.mark.slow
@pytest.mark.parametrize("offset", [TO_1970, -HOUR, YEAR])
def test_every_start_recovers_whatever_the_clock_says(
    offset: int, jumping: Callable[..., Jumping]
) -> None:
    log = jumping()
    log.append(30)
    log.jump(offset)
    for killed in (True, False, True):
        log.start_again(killed=killed)
        log.append(3)
    with log.service.attach() as opened:
        assert opened.status().epoch == 4
        assert all(client.attached_s < 10 or offset < 0 for client in opened.status().clients)
    log.nothing_is_missed()
    log.service.stop()
    assert logstore.repair(log.service.path, dry_run=True).problems == ()
