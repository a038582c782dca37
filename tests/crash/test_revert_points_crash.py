"""A process dies exactly while it reverts: either everything after the place is hidden, for every
reader and after any crash, or nothing is."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

import logstore
from tests.conftest import Serve
from tests.fail_points import FailPoints
from tests.service import environment

pytestmark = pytest.mark.crash

PROGRAM = "import logstore, sys; logstore.attach(sys.argv[1]).revert(int(sys.argv[2]))"


@pytest.mark.parametrize(
    ("point", "done"),
    [
        ("reserve.intent", False),
        ("reserve.header", False),
        ("reserve.head", False),
        ("fill.copied", False),
        ("publish.word", False),
        ("publish.published", True),
        ("revert.published", True),
        ("guard.release", True),
        ("guard.released", True),
    ],
)
def test_a_revert_whose_process_dies_is_done_or_not_done(
    point: str, done: bool, serve: Serve, armed: FailPoints
) -> None:
    service = serve(ring_size=1 << 16)
    with logstore.attach(service.path) as log:
        kept = log.append(b"kept", durability="synced")
        place = log.append(b"perhaps hidden", durability="synced")
        died = subprocess.run(
            [sys.executable, "-c", PROGRAM, log.name, str(place)],
            env=environment(armed.arm(point)),
            cwd=service.path.parent,
            timeout=20,
            check=False,
        )
        assert died.returncode == -signal.SIGKILL
        after = log.append(b"after", durability="synced", timeout=2)
        expected = [kept, after] if done else [kept, place, after]
        assert [record.lsn for record in log.read()] == expected
    service.kill_all()
    service.start()
    with logstore.attach(service.path) as log:
        assert [record.lsn for record in log.read()] == expected
