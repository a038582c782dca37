"""A dead process's pid belongs to another one that lives: the owner counts as dead all the same,
what it held is free within a second, and nothing is taken from the living."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import Serve
from tests.fail_points import FailPoints
from tests.programs.pid_reuse import CASES
from tests.service import ROOT, environment, until

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a pid namespace"),
]

OUT_OF_SIGHT: Final = """
import os, signal, sys
from pathlib import Path
from logstore.ring.client import Client
from logstore.ring.layout import COMMITTER, State
wanted = int(sys.argv[2])
for _ in range(200):
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(wanted - 1))
    pid = os.fork()
    if pid == 0:
        if os.getpid() == wanted:
            client = Client(sys.argv[1], role=COMMITTER)
            client.ring.set_state(State.FAILED)
            print(flush=True)
            signal.pause()
        os._exit(0)
    os.waitpid(pid, 0)
"""

EVERY_RUN: Final = ("guard-reserve.head", "heir", "worker-committer")


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=() if case in EVERY_RUN else pytest.mark.slow) for case in CASES],
)
def test_whose_pid_lives_on_in_another_process_is_dead(
    case: str, clean_place: Path, armed: FailPoints
) -> None:
    command = ["unshare", "-p", "-f", "--mount-proc", "--kill-child", sys.executable, "-P", "-m"]
    command += ["tests.programs.pid_reuse", case, str(clean_place), str(armed.tree)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.stderr.startswith("unshare:"):
        pytest.skip(f"no pid namespace here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr


def test_a_worker_out_of_sight_is_not_taken_for_who_has_its_pid_here(serve: Serve) -> None:
    service = serve()
    with service.attach() as log:
        log.append(b"kept")
    service.kill_all()
    bystander = subprocess.Popen(["sleep", "600"])
    # A pid namespace without a /proc of its own: there, too, /proc/<pid> is the bystander.
    command = ["unshare", "-p", "-f", "--kill-child", sys.executable, "-P", "-c", OUT_OF_SIGHT]
    command += [service.name, str(bystander.pid)]
    worker = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE)
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"\n"
        answer = service.try_start()
        assert answer is not None
        assert answer["error"] == "InUse", answer
        assert bystander.poll() is None
    finally:
        for process in (bystander, worker):
            process.kill()
            process.communicate()
    until(lambda: service.try_start() == {}, "a start succeeds once the worker is gone")
    assert [record.payload for record in service.read_all()] == [b"kept"]
