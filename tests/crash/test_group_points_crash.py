"""A process dies exactly while it makes a group, or reverts: who comes next finds all in order."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

import logstore
from tests.conftest import Serve
from tests.fail_points import FailPoints
from tests.service import Service, environment

pytestmark = pytest.mark.crash

POINTS = (
    "guard.token",
    "reserve.intent",
    "reserve.header",
    "reserve.head",
    "fill.begin",
    "fill.copied",
    "publish.word",
    "publish.published",
    "guard.release",
    "guard.released",
)
MAKE = "import logstore, sys; logstore.attach(sys.argv[1]).group('ghost')"
REVERT = "import logstore, sys; logstore.attach(sys.argv[1]).revert(int(sys.argv[2]))"


def die(service: Service, program: str, *arguments: str, armed: FailPoints, point: str) -> None:
    """Run a program that dies at its point."""
    died = subprocess.run(
        [sys.executable, "-c", program, service.name, *arguments],
        env=environment(armed.arm(point)),
        cwd=service.path.parent,
        timeout=20,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL


@pytest.mark.parametrize("point", POINTS)
def test_a_group_whose_maker_dies_is_made_by_the_next_and_ids_stay_with_names(
    point: str, serve: Serve, armed: FailPoints
) -> None:
    service = serve(ring_size=1 << 16)
    with service.attach() as log:
        assert log.group("first").id == 1
        die(service, MAKE, armed=armed, point=point)
        made = {name: log.group(name).id for name in ("second", "ghost", "third")}
        assert sorted(made.values()) == [2, 3, 4]
        for name in made:
            log.group(name).append(name.encode(), durability="synced", timeout=5)
        rows = [(record.group, record.seq, record.payload) for record in log.read()]
        assert rows == [(name, 1, name.encode()) for name in made]
    for _ in range(2):
        service.kill_all()
        service.start()
        with service.attach() as log:
            assert {name: log.group(name).id for name in made} == made
            assert sorted(log.groups()) == sorted(["default", "first", *made])
    assert [(r.group, r.seq, r.payload) for r in service.read_all()] == rows


@pytest.mark.parametrize("point", ["publish.published", "revert.published", "guard.release"])
def test_the_next_revert_does_not_bring_back_what_one_whose_process_died_has_hidden(
    point: str, serve: Serve, armed: FailPoints
) -> None:
    service = serve(ring_size=1 << 16)
    with logstore.attach(service.path) as log:
        kept = log.append(b"kept", durability="synced")
        first = log.append(b"hidden", durability="synced")
        die(service, REVERT, str(first), armed=armed, point=point)
        log.revert(log.watermarks().reserved)  # hides nothing, but makes the newest list
        assert [record.lsn for record in log.read()] == [kept]
    service.kill_all()
    service.start()
    assert [record.lsn for record in service.read_all()] == [kept]
