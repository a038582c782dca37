"""A cursor has one holder; what others see of it, and what is wrong with some."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

import logstore
from logstore import cursors
from logstore.errors import Closed, Compacted, Corruption, InUse, InvalidArgument, InvalidLSN
from logstore.files import Directory
from logstore.ring._ring import LAYOUT
from logstore.segments.cursors import SavedCursor, save
from tests.conftest import Serve
from tests.consuming import append, payloads, saved
from tests.service import Service

pytestmark = pytest.mark.process


@pytest.fixture
def service(serve: Serve) -> Service:
    return serve(segment_size=1 << 20)


@pytest.fixture
def log(service: Service) -> Iterator[logstore.Log]:
    with service.attach() as attached:
        yield attached


# One holder.


def test_a_held_cursor_is_refused_and_cannot_be_moved_or_deleted(log: logstore.Log) -> None:
    (lsn,) = append(log, b"1")
    with log.cursor("c") as cursor:
        for attempt in (
            lambda: log.cursor("c"),
            lambda: log.move_cursor("c", lsn),
            lambda: log.delete_cursor("c"),
        ):
            with pytest.raises(InUse) as caught:
                attempt()
            assert caught.value.pid == os.getpid()
        assert payloads(cursor) == [b"1"]
        log.cursor("another").close()
        assert saved(log, "c").holder == os.getpid()
        assert saved(log, "another").holder is None
    log.move_cursor("c", lsn)
    with log.cursor("c") as cursor:
        assert payloads(cursor) == [b"1"]
    log.delete_cursor("c")
    assert [one.name for one in log.cursors()] == ["another"]


def test_closing_the_log_closes_and_saves_its_cursors(service: Service) -> None:
    with service.attach() as log:
        append(log, b"1")
        cursor = log.cursor("c", save_interval_s=1000)
        cursor.advance(next(iter(cursor)))
    with pytest.raises(Closed):
        cursor.save()
    cursor.close()
    with service.attach() as log, log.cursor("c") as again:
        assert payloads(again) == []


def test_a_forgotten_cursor_is_free_again(log: logstore.Log) -> None:
    log.cursor("c")
    log.cursor("c").close()


def test_a_forked_child_can_neither_use_nor_keep_its_parents_cursor(log: logstore.Log) -> None:
    append(log, b"1")
    cursor = log.cursor("c")
    told, tell = os.pipe()
    end, wait = os.pipe()
    child = os.fork()
    if child == 0:
        answer = b"wrong"
        try:
            os.close(wait)
            with pytest.raises(InvalidArgument):
                next(iter(cursor))
            with pytest.raises(InUse) as caught:
                log.cursor("c")
            if caught.value.pid == os.getppid():
                answer = b"right"
        finally:
            os.write(tell, answer)
            os.read(end, 1)
            os._exit(0)
    os.close(end)
    assert os.read(told, 5) == b"right"
    assert payloads(cursor) == [b"1"]
    cursor.close()
    log.cursor("c").close()  # although the child lives
    os.close(wait)
    os.waitpid(child, 0)
    os.close(told)
    os.close(tell)


def test_a_cursor_is_not_pickled(log: logstore.Log) -> None:
    with log.cursor("c") as cursor, pytest.raises(TypeError, match="pickled"):
        pickle.dumps(cursor)


# From outside.


def test_pins_and_status_tell_how_far_every_cursor_is(log: logstore.Log) -> None:
    lsns = append(log, b"1", b"2", b"3")
    log.group("orders")
    log.cursor("idle", group="orders", start=lsns[1]).close()
    with log.cursor("busy"), Directory.open(log.path, create=False) as directory:
        assert cursors.pins(directory) == [
            cursors.Pin(lsns[0], "busy", os.getpid()),
            cursors.Pin(lsns[1], "idle", None),
        ]
        told = log.status().cursors
        synced = log.watermarks().synced
    assert [(one.name, one.group, one.holder) for one in told] == [
        ("busy", None, os.getpid()),
        ("idle", "orders", None),
    ]
    assert told[0].lag <= synced - lsns[0]
    assert log.status().as_dict()["cursors"][1]["position_lsn"] == lsns[1]


def test_compaction_keeps_what_a_cursor_has_not_read_held_or_not(log: logstore.Log) -> None:
    lsns = [log.append(b"x" * 60_000) for _ in range(100)]  # 6 MB in segments of 1 MiB
    log.group("default").checkpoint(up_to=100)
    log.cursor("c", start=lsns[40]).close()
    log.sync()
    log.compact()
    assert log.watermarks().start <= lsns[40]
    with log.cursor("c") as cursor:
        assert len(payloads(cursor)) == 60
        cursor.save()
        log.compact()
    assert log.watermarks().start > lsns[60]


def test_a_damaged_cursor_is_told_pins_everything_and_can_be_deleted(log: logstore.Log) -> None:
    log.cursor("c").close()
    path = Path(log.path) / "cursors" / "c"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(Corruption) as caught:
        log.cursor("c")
    assert caught.value.path == path
    assert saved(log, "c").damaged
    with Directory.open(log.path, create=False) as directory:
        assert cursors.pins(directory) == [cursors.Pin(0, "c", None)]
    log.delete_cursor("c")
    assert log.cursors() == []


def test_below_the_logs_start_reading_says_what_to_do(log: logstore.Log) -> None:
    lsns = append(log, b"1", b"2", b"3")
    with log.cursor("c") as cursor:
        log._client.ring.store(LAYOUT["start"], lsns[1])  # as retention does
        with pytest.raises(Compacted, match=f"oldest there is is at LSN {lsns[1]}"):
            next(iter(cursor))
        cursor.move(lsns[1])
        assert payloads(cursor) == [b"2", b"3"]


def test_beyond_the_logs_end_reading_says_what_to_do(log: logstore.Log) -> None:
    (lsn,) = append(log, b"1")
    with Directory.open(log.path, create=False) as directory:
        save(directory, SavedCursor("c", None, 1 << 40, 1))
    with log.cursor("c") as cursor:
        with pytest.raises(InvalidLSN, match="beyond"):
            next(iter(cursor))
        cursor.move(lsn)
        assert payloads(cursor) == [b"1"]


def test_files_and_folder_have_the_modes_of_the_log(serve: Serve) -> None:
    old = os.umask(0o077)
    try:
        for mode, folder_mode in ((0o600, 0o700), (0o660, 0o770)):
            with serve(mode=mode).attach() as log:
                log.cursor("c").close()
                folder = Path(log.path) / "cursors"
                assert folder.stat().st_mode & 0o777 == folder_mode
                assert (folder / "c").stat().st_mode & 0o777 == mode
    finally:
        os.umask(old)
