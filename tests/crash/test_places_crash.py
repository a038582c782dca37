"""A compaction is held up after it has judged, and meanwhile cursors are given their places."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

import logstore
from logstore.errors import NotFound, Timeout
from logstore.segments.backward import blocks_back
from tests.conftest import Serve
from tests.consuming import payloads, saved
from tests.fail_points import FailPoints, until_fired
from tests.service import Service, until

pytestmark = pytest.mark.crash

JUDGED: Final = "compact.judged"
COUNT: Final = 200
GIVEN_UP: Final = (*range(30), *range(50, 150))
INSIDE: Final = 100
"""A record in the middle of what is dropped."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A log whose committer stands still between judging segments and dropping them.

    Attributes:
        service: Its service.
        log: An attachment.
        lsns: Where its records are; each is its number.
    """

    service: Service
    log: logstore.Log
    lsns: list[int]

    def meanwhile(
        self, act: Callable[[logstore.Log], object], go_on: Callable[[], object]
    ) -> list[Exception]:
        """Let another client act before the committer goes on, or wait for that; its errors."""
        errors: list[Exception] = []

        def live() -> None:
            try:
                with self.service.attach() as other:
                    act(other)
            except logstore.LogstoreError as error:
                errors.append(error)

        thread = threading.Thread(target=live)
        thread.start()
        thread.join(0.5)  # over by then, but for who waits for the committer
        go_on()
        thread.join(10.0)
        assert not thread.is_alive()
        self.log.compact(timeout=10.0)
        return errors

    def goes_on(self) -> None:
        self.service.send("committer", signal.SIGCONT)

    def is_killed(self) -> None:
        self.service.kill("committer")


@pytest.fixture
def judged(serve: Serve, armed: FailPoints, tmp_path: Path) -> Iterator[Judged]:
    once = tmp_path / "once"
    environment = armed.arm(JUDGED, role="committer", once=once)
    environment |= {"LOGSTORE_FAIL_SIGNAL": str(int(signal.SIGSTOP))}
    service = serve(segment_size=1 << 14, ring_size=1 << 16, environment=environment)
    with service.attach() as log:
        lsns = []
        for number in range(COUNT):
            group = log.group("given up" if number in GIVEN_UP else "kept")
            lsns.append(group.append(b"%d" % number + bytes(1000)))
        log.sync()
        log.cursor("newest", start="newest").close()
        log.group("given up").checkpoint(up_to=len(GIVEN_UP))
        log.sync()
        log.compact(wait=False)
        until_fired(once)
        committer = psutil.Process(service.pid("committer"))
        until(lambda: committer.status() == "stopped", "the committer stands still")
        yield Judged(service, log, lsns)


def numbers(records: list[bytes]) -> list[int]:
    return [int(record.rstrip(b"\0")) for record in records]


def test_a_cursor_at_the_oldest_record_misses_nothing_that_is_there(judged: Judged) -> None:
    assert judged.meanwhile(lambda other: other.cursor("c").close(), judged.goes_on) == []
    with judged.log.cursor("c") as cursor:
        found = numbers(payloads(cursor))
    assert found == numbers([bytes(record.payload) for record in judged.log.read()])
    assert 0 < found[0] <= 30
    assert found[-1] == COUNT - 1


def test_there_is_no_cursor_at_a_place_that_is_about_to_be_dropped(judged: Judged) -> None:
    place = judged.lsns[INSIDE]
    errors = judged.meanwhile(lambda other: other.cursor("c", start=place), judged.goes_on)
    assert [type(error) for error in errors] == [NotFound]
    assert [one.name for one in judged.log.cursors()] == ["newest"]


@pytest.mark.slow
def test_a_cursor_does_not_move_to_a_place_that_is_about_to_be_dropped(judged: Judged) -> None:
    before = saved(judged.log, "newest").position_lsn
    place = judged.lsns[INSIDE]
    errors = judged.meanwhile(lambda other: other.move_cursor("newest", place), judged.goes_on)
    assert [type(error) for error in errors] == [NotFound]
    assert saved(judged.log, "newest").position_lsn == before


@pytest.mark.slow
def test_a_cursor_keeps_what_a_killed_committer_had_given_up(judged: Judged) -> None:
    place = judged.lsns[INSIDE]
    errors = judged.meanwhile(
        lambda other: other.cursor("c", start=place).close(), judged.is_killed
    )
    assert errors == []
    with judged.log.cursor("c") as cursor:
        assert numbers(payloads(cursor)) == [*range(INSIDE, COUNT)]


def test_who_reads_backwards_comes_to_the_end_of_what_is_left(
    judged: Judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found_and_dropped(*words: Any) -> Iterator[tuple[int, int]]:  # noqa: ANN401 (as they are)
        for block in blocks_back(*words):
            if block[0] <= judged.lsns[0]:
                assert judged.meanwhile(lambda other: None, judged.goes_on) == []
            yield block

    monkeypatch.setattr("logstore.segments.reader.blocks_back", found_and_dropped)
    found = numbers([bytes(record.payload) for record in judged.log.read(reverse=True)])
    monkeypatch.undo()
    left = numbers([bytes(record.payload) for record in judged.log.read()])
    assert 0 < found[-1] <= left[0] <= 30, "but for those that it had come to before they went"
    assert found == [*range(COUNT - 1, found[-1] - 1, -1)]


@pytest.mark.parametrize("reverse", [False, True])
def test_who_has_not_begun_to_read_what_is_all_gone_reads_nothing(
    reverse: bool, serve: Serve
) -> None:
    service = serve(segment_size=1 << 14, ring_size=1 << 16)
    with service.attach() as log:
        log.append(b"", durability="synced")
        records = log.read(reverse=reverse)
        for _ in range(60):
            log.append(bytes(1000))
        log.group("default").checkpoint(up_to=61)
        log.sync()
        log.compact(timeout=10.0)
        assert log.watermarks().start > 4096 + 32
        assert list(records) == []


def test_compaction_is_put_off_while_a_cursor_is_given_its_place(serve: Serve) -> None:
    service = serve(segment_size=1 << 14, ring_size=1 << 16)
    with service.attach() as log, service.attach() as other:
        for _ in range(60):
            log.append(bytes(1000))
        with other._client.duties.placing():
            log.group("default").checkpoint(up_to=60)
            log.sync()
            with pytest.raises(Timeout):
                log.compact(timeout=0.3)
            assert log.watermarks().start == 4096
        log.compact(timeout=10.0)
        assert log.watermarks().start > 4096
