"""Who is alive: locks and generations, and never pids or time-outs."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from logstore import InUse
from logstore.ring._ring import token
from logstore.ring.client import Client
from logstore.ring.layout import COMMITTER, FIRST_CLIENT, SYNCER, client_offset
from logstore.ring.liveness import RECOVERY, LockFile
from tests.ring.bench import Bench


def in_child(act: Callable[[], bool]) -> bool:
    """Run something in a forked child, and return its answer."""
    child = os.fork()
    if child == 0:
        code = 2
        try:
            code = 0 if act() else 1
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 1), "the child failed"
    return code == 0


def test_a_client_lives_until_it_closes(bench: Bench) -> None:
    client = bench.attach()
    mark = client.ring.token
    assert bench.committer.alive(mark)
    assert client.alive(mark)  # it sees itself, too
    client.close()
    assert not bench.committer.alive(mark)


def test_an_index_is_used_again_and_the_dead_is_not_mistaken_for_the_living(bench: Bench) -> None:
    first = bench.attach()
    index, mark = first.index, first.ring.token
    first.close()
    second = bench.attach()
    assert second.index == index
    assert second.ring.token != mark
    assert bench.committer.alive(second.ring.token)
    assert not bench.committer.alive(mark)


def test_a_frame_of_a_dead_client_is_aborted_although_its_index_lives(bench: Bench) -> None:
    first = bench.attach()
    slot = first.ring.reserve(50)
    first.close()
    second = bench.attach()
    assert second.index == first.index
    second.ring.append(b"alive")
    bench.abort_dead()
    assert [record.payload for record in bench.drain()] == [b"alive"]
    del slot


def test_a_generation_that_the_token_cannot_hold_never_makes_a_token_of_nobody(
    bench: Bench,
) -> None:
    offset = client_offset(FIRST_CLIENT, "generation")
    bench.ring.store(offset, (1 << 22) - 1)
    client = bench.attach()
    assert client.ring.token != 0
    assert client.ring.token == token(client.index, bench.ring.load(offset))
    assert bench.committer.alive(client.ring.token)


def test_a_role_is_held_by_one_process_and_the_error_names_it(bench: Bench) -> None:
    with pytest.raises(InUse) as caught:
        Client(bench.path.name, role=COMMITTER)
    assert caught.value.pid == os.getpid()


def test_a_client_says_who_it_is(bench: Bench, client: Client) -> None:
    assert bench.ring.load(client_offset(client.index, "pid")) == os.getpid()
    assert bench.ring.load(client_offset(client.index, "start_ticks")) > 0


def test_the_parents_death_is_seen_although_a_forked_child_lives(bench: Bench) -> None:
    client = bench.attach()
    go_reader, go_writer = os.pipe()
    ready_reader, ready_writer = os.pipe()
    child = os.fork()
    if child == 0:
        client.forsake()
        os.write(ready_writer, b"r")
        os.read(go_reader, 1)
        os._exit(0)
    assert os.read(ready_reader, 1) == b"r"
    assert bench.committer.alive(client.ring.token)
    client.close()
    assert not bench.committer.alive(client.ring.token)
    os.write(go_writer, b"g")
    os.waitpid(child, 0)
    for fd in (go_reader, go_writer, ready_reader, ready_writer):
        os.close(fd)


def test_what_is_closed_is_free_although_a_child_that_is_being_started_has_a_copy(
    bench: Bench,
) -> None:
    lock, other = LockFile(bench.path), LockFile(bench.path)
    assert lock.take(RECOVERY)
    child, (reader, writer) = 0, os.pipe()
    try:
        child = os.fork()
        if child == 0:
            os.close(writer)
            os.read(reader, 1)  # as between fork and exec
            os._exit(0)
        lock.close()
        assert not other.held(RECOVERY)
    finally:
        os.close(writer)
        os.waitpid(child, 0)
        os.close(reader)
        other.close()


def test_a_child_that_closes_its_parents_lock_file_frees_nothing(bench: Bench) -> None:
    lock, other = LockFile(bench.path), LockFile(bench.path)
    assert lock.take(RECOVERY)

    def act() -> bool:
        lock.close()
        return True

    assert in_child(act)
    assert other.held(RECOVERY)
    lock.close()
    assert not other.held(RECOVERY)
    other.close()


def test_a_child_that_gives_up_its_parents_client_does_not_end_it(bench: Bench) -> None:
    client = bench.attach()

    def act() -> bool:
        client.forsake()
        return True

    assert in_child(act)
    assert bench.committer.alive(client.ring.token)
    client.ring.append(b"still here")


def test_a_forked_child_that_ends_leaves_its_parents_reservation_alone(bench: Bench) -> None:
    client = bench.attach()
    slot = client.ring.reserve(5)
    view = memoryview(slot)

    def act() -> bool:
        nonlocal slot
        client.forsake()
        view.release()
        slot.abort()  # as leaving the with block by an exception does
        return True

    assert in_child(act)
    view[:] = b"whole"
    view.release()
    slot.publish()
    assert [record.payload for record in bench.drain()] == [b"whole"]


def test_a_service_lives_while_its_supervisor_or_both_workers_do(bench: Bench) -> None:
    client = bench.attach()
    assert client.service_alive()
    bench.supervisor.close()
    assert not client.service_alive()  # a committer alone
    syncer = bench.attach(role=SYNCER)
    assert client.service_alive()
    syncer.close()
    assert not client.service_alive()
