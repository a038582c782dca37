"""A role dies just before its N-th system call of some kind, wherever that is in the code: nothing
that was acknowledged is lost."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests import strace
from tests.conftest import Serve
from tests.crash.load import RING, Load
from tests.oracle import Oracle
from tests.service import Service

pytestmark = [pytest.mark.crash, strace.needs_strace]

SEGMENT = 1 << 14
CALLS = {
    "committer": ("pwrite64", "openat", "ftruncate", "fsync", "/rename", "fallocate", "futex"),
    "syncer": ("fdatasync", "openat", "futex", "fsync"),
    "supervisor": (
        "openat",
        "pwrite64",
        "fsync",
        "fdatasync",
        "/rename",
        "ftruncate",
        "fcntl",
        "/unlink",
    ),
}
TURNS = 3000  # until a call comes, or never


def strike(service: Service, load: Load, role: str, calls: str, number: int, place: Path) -> bool:
    """Kill a role before a system call while records flow; tell whether the call came."""
    old = service.pid(role)
    with strace.killing(old, calls, number, place / "strace") as tracer:
        for _ in range(TURNS):
            if tracer.poll() is not None:
                break
            load.turn()
        else:
            return False
    service.until_restarted(role, old)
    for _ in range(3):
        load.turn()
    return True


def start_and_die(service: Service, calls: str, number: int, place: Path) -> bool:
    """Kill the service and its successor, before a system call; tell whether the call came."""
    service.kill_all()
    service.wrapper = tuple(strace.command(calls, number, place / "strace"))
    answer = service.try_start()
    service.wrapper = ()
    if answer == {}:  # so often it is not called
        service.kill_all()
    else:
        assert answer is None, answer
    service.start()
    return answer is None


def run(
    kills: int,
    service: Service,
    oracle: Oracle,
    place: Path,
    seed: int,
    roles: tuple[str, ...] = tuple(CALLS),
) -> None:
    """Strike so many times, each time one of the roles, and judge at the end."""
    chance = random.Random(seed)
    done = 0
    history = []
    with service.attach() as log:
        load = Load(log, oracle)
    while done < kills:
        role = chance.choice(roles)
        calls = chance.choice(CALLS[role])
        number = chance.choice([1, 2, 3, chance.randint(4, 12)])
        history.append(f"{role} {calls}:{number}")
        try:
            with service.attach() as log:
                load.attach(log)
                load.turn()
                if role != "supervisor":
                    done += strike(service, load, role, calls, number, place)
            if role == "supervisor":
                done += start_and_die(service, calls, number, place)
        except BaseException as error:
            error.add_note(f"seed {seed}: {', '.join(history)}")
            raise
    load.end()
    oracle.until_all_told()
    records = service.read_all()
    oracle.check(records)
    assert service.stop() == 0
    service.start()
    assert service.read_all() == records


def test_a_role_dies_before_some_system_calls(
    serve: Serve, oracle: Oracle, seed: int, tmp_path: Path
) -> None:
    run(6, serve(segment_size=SEGMENT, ring_size=RING), oracle, tmp_path, seed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("role", CALLS)
def test_each_role_dies_before_a_hundred_system_calls(
    role: str, number: int, serve: Serve, oracle: Oracle, seed: int, tmp_path: Path
) -> None:
    service = serve(segment_size=SEGMENT, ring_size=RING)
    run(20, service, oracle, tmp_path, seed + number, (role,))
