"""Forked, spawned, pickled and threaded clients; reservations; read-only ones."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import pytest

import logstore
from logstore import Closed, InvalidArgument, NotRunning, ReadOnly
from tests.conftest import Serve
from tests.service import Service, until

pytestmark = pytest.mark.process


def in_child(act: Callable[[], None]) -> None:
    """Run something in a forked child, which must not fail."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def append_in_process(log: logstore.Log, answers: Connection) -> None:
    """Append through a handle that came from another process."""
    answers.send((log.append(b"from %d" % os.getpid(), durability="synced"), os.getpid()))
    log.close()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_handle_given_to_a_process_attaches_there(method: str, shared: Service) -> None:
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    with shared.attach() as log:
        process = context.Process(target=append_in_process, args=(log, theirs))  # type: ignore[attr-defined]
        process.start()
        lsn, pid = ours.recv()
        process.join(10)
        assert process.exitcode == 0
        assert log.load(lsn).payload == b"from %d" % pid
        log.append(b"ours")  # the parent's own client goes on
    if method == "forkserver":
        stop_forkserver()
    for connection in (ours, theirs):
        connection.close()


def stop_forkserver() -> None:
    """End the server process that the forkserver method leaves for later."""
    from multiprocessing import forkserver, resource_tracker

    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]


def test_a_forked_child_has_an_entry_of_its_own(shared: Service) -> None:
    with shared.attach() as log:
        entries = {client.index for client in log.status().clients}

        def act() -> None:
            log.append(b"child", durability="written")
            inside = {c.index: c.pid for c in log.status().clients}
            assert len(inside) == len(entries) + 1
            assert os.getpid() in inside.values()
            assert os.getppid() in inside.values()

        in_child(act)
        until(lambda: len(log.status().clients) == len(entries), "the child's entry is free")
        log.append(b"parent", durability="synced")


def test_a_child_that_ends_inside_the_parents_reservation_leaves_it_alone(shared: Service) -> None:
    with shared.attach() as log:
        with log.reserve(6) as reservation:
            child = os.fork()
            if child == 0:
                try:
                    reservation.__exit__(RuntimeError, RuntimeError(), None)
                finally:
                    os._exit(0)
            os.waitpid(child, 0)
            reservation.buffer[:] = b"parent"
        assert log.load(reservation.lsn).payload == b"parent"


def test_a_child_may_not_publish_its_parents_reservation(shared: Service) -> None:
    with shared.attach() as log:
        with log.reserve(6) as reservation:
            reservation.buffer[:] = b"parent"

            def act() -> None:
                with pytest.raises(Closed):
                    reservation.__exit__(None, None, None)

            in_child(act)
        assert log.load(reservation.lsn).payload == b"parent"


def test_the_parents_death_frees_what_it_held_although_its_child_lives(shared: Service) -> None:
    ready, tell = os.pipe()
    go, start = os.pipe()
    parent = os.fork()
    if parent == 0:
        log = shared.attach()
        log.reserve(100).buffer[:4] = b"half"
        held = log.reserve(50)
        grandchild = os.fork()
        if grandchild == 0:
            os.close(start)
            os.read(go, 1)  # outlives its parent
            os._exit(0)
        os.write(tell, b"%d" % held.lsn)
        signal.pause()
    os.close(go)
    lsn = int(os.read(ready, 20))
    with shared.attach() as log:
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        began = time.monotonic()
        assert log.append(b"after", durability="synced", timeout=5) > lsn
        assert time.monotonic() - began < 2
    for fd in (ready, tell, start):
        os.close(fd)


def test_a_pickled_handle_attaches_by_name(shared: Service) -> None:
    with shared.attach() as log, pickle.loads(pickle.dumps(log)) as twin:
        assert (twin.name, twin.path, twin.read_only) == (log.name, log.path, False)
        assert log.load(twin.append(b"twin")).payload == b"twin"
    with shared.attach(read_only=True) as log, pickle.loads(pickle.dumps(log)) as twin:
        assert twin.read_only


def test_threads_share_a_handle_and_keep_their_order(shared: Service) -> None:
    count, threads_count = 2000, 4
    with shared.attach() as log:
        start = log.watermarks().reserved

        def append(number: int) -> None:
            for n in range(0, count, 4):
                log.append(b"%d %d" % (number, n))
                log.append_many([b"%d %d" % (number, n + i) for i in (1, 2)])
                with log.reserve(12) as reservation:
                    reservation.buffer[:] = (b"%d %d" % (number, n + 3)).ljust(12)

        threads = [threading.Thread(target=append, args=(i,)) for i in range(threads_count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        log.sync(timeout=10)
        records = [bytes(r.payload).split() for r in log.read(start) if r.payload[:1] in b"0123"]
    for number in range(threads_count):
        mine = [int(n) for who, n in records if who == b"%d" % number]
        assert mine == list(range(count))


def test_closing_in_one_thread_ends_a_wait_in_another(serve: Serve) -> None:
    service = serve()
    service.send("syncer", signal.SIGSTOP)
    log = service.attach()
    lsn = log.append(b"never synced")
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            log.wait(lsn)
        except Closed as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    log.close()
    thread.join(5)
    service.send("syncer", signal.SIGCONT)
    assert len(errors) == 1
    for call in (log.watermarks, log.status, log.read, lambda: log.append(b""), lambda: log.aio):
        with pytest.raises(Closed, match="open or attach again"):
            call()


def test_a_read_only_handle_reads_waits_and_follows_but_appends_nothing(shared: Service) -> None:
    with shared.attach() as log, shared.attach(read_only=True) as reader:
        clients = len(log.status().clients)
        lsn = log.append(b"seen")
        reader.wait(lsn, timeout=5)
        assert reader.load(lsn).payload == b"seen"
        assert [r.lsn for r in reader.read(lsn, lsn + 8)] == [lsn]
        assert next(reader.follow(lsn, timeout=5)).lsn == lsn
        assert len(reader.status().clients) == clients
        for append in (
            lambda: reader.append(b""),
            lambda: reader.append(b"", durability="synced", timeout=1),
            lambda: reader.append_many([b""]),
            lambda: reader.reserve(1),
        ):
            with pytest.raises(ReadOnly, match="attach without read_only"):
                append()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_wait_ends_when_the_whole_service_is_killed(read_only: bool, serve: Serve) -> None:
    service = serve()
    with service.attach() as writer, service.attach(read_only=read_only) as log:
        service.send("syncer", signal.SIGSTOP)
        lsn = writer.append(b"in the ring")
        service.kill_all()
        with pytest.raises(NotRunning, match="recovered when it is started again"):
            log.wait(lsn, timeout=10)


def test_reservations_are_filled_in_place_and_aborted_by_exceptions(shared: Service) -> None:
    with shared.attach() as log:

        def fail() -> None:
            with log.reserve(8) as reservation:
                reservation.buffer[:] = b"aborted!"
                raise KeyError

        with log.reserve(16) as reservation, reservation.buffer.cast("Q") as numbers:
            numbers[0], numbers[1] = 1, 2
        with pytest.raises(KeyError):
            fail()
        log.sync(timeout=5)
        (record,) = log.read(reservation.lsn)
        assert bytes(record.payload) == bytes([1, *[0] * 7, 2, *[0] * 7])


@pytest.mark.parametrize("kind", ["slice", "ctypes array"])
def test_a_view_that_outlives_its_reservation_is_an_error_and_no_record(
    kind: str, shared: Service
) -> None:
    with shared.attach() as log:
        before = log.watermarks().reserved

        def leak() -> None:
            with log.reserve(16) as reservation:
                whole = reservation.buffer
                part = whole[8:] if kind == "slice" else (ctypes.c_char * 16).from_buffer(whole)
            del part

        with pytest.raises(InvalidArgument, match="delete it before the block ends"):
            leak()
        lsn = log.append(b"next", durability="synced", timeout=5)
        assert [record.lsn for record in log.read(before)] == [lsn]


def test_closing_with_an_open_reservation_aborts_it_and_others_go_on(shared: Service) -> None:
    with shared.attach() as other:
        log = shared.attach()
        reservation = log.reserve(100)
        reservation.buffer[:4] = b"half"
        log.close()
        lsn = other.append(b"next", durability="synced", timeout=5)
        assert [record.lsn for record in other.read(reservation.lsn)] == [lsn]
