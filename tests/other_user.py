"""Programs that run as another user: they become it once everything is imported, for that user may
not be allowed to read the interpreter or the library."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

import pytest

from tests.service import environment

NOBODY: Final = 65534
OTHER: Final = 65533
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

_PRELUDE: Final = """
import os, signal, sys, tempfile
import logstore
from pathlib import Path
from logstore import service
from logstore.ring import region
import mmap, secrets
for one in logstore.__all__:
    getattr(logstore, one)
# What is imported late, is so by being used once.
with tempfile.TemporaryDirectory(prefix="logstore-rehearsal-") as place:
    place += "/rehearsal-" + str(os.getpid())
    with logstore.open(place, ring_size=65536) as log:
        log.append(b"", durability="synced")
        list(log.read()), log.status(), log.pins(), log.groups()
        with log.cursor("rehearsal") as cursor:
            cursor.save()
        with logstore.attach(log.name, read_only=True) as again:
            list(again.read()), again.status()
        (pid,) = [one.pid for one in log.status().clients if one.role == "supervisor"]
    os.kill(pid, signal.SIGTERM)  # or it would stay for a moment, and its directory with it
    while service.supervised(Path(place)):
        os.sched_yield()
    logstore.repair(place)
os.setgroups({groups})
os.setgid({group})
os.setuid({user})
"""


def run_as(
    program: str,
    *arguments: str,
    user: int = NOBODY,
    group: int = NOBODY,
    groups: tuple[int, ...] = (),
) -> None:
    """Run a program as another user; it must end well. It finds logstore and region imported."""
    prelude = _PRELUDE.format(user=user, group=group, groups=list(groups))
    done = subprocess.run(
        [sys.executable, "-P", "-c", prelude + program, *arguments],
        env=environment(),
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr or done.stdout
