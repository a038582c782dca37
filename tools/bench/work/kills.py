"""P8: the longest pause of the others when a process is killed under load."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Final

from tests.fail_points import FailPoints, build
from tests.service import Service, environment
from tools.bench.histogram import Metrics
from tools.bench.measure import Bar, Case
from tools.bench.place import Place

_WRITERS: Final = 2
_WARM_S: Final = 0.7
_DIES_AT: Final = "reserve.head:50000"  # inside the guard


def p8(place: Place, *, full: bool) -> list[Case]:
    """Kill each role once; two writer processes that go on tell when they got their acks."""
    seconds = 4.0 if full else 1.8
    bars = {"guard's holder": 10.0, "committer": 300.0, "syncer": 300.0, "supervisor": 50.0}
    return [
        Case(
            "P8",
            f"kill {role}",
            partial(_kill, place, role, seconds),
            (Bar("pause ms", most=most),),
        )
        for role, most in bars.items()
    ]


def _kill(place: Place, role: str, seconds: float) -> Metrics:
    """Return the longest silence of any surviving writer before and after the kill."""
    killed_ns: list[int] = []
    in_guard = role == "guard's holder"
    with (
        tempfile.TemporaryDirectory(prefix="logstore-bench-points-") as base,
        place.service() as service,
    ):
        armed = build(Path(base)) if in_guard else None

        def strike() -> None:
            killed_ns.append(time.monotonic_ns())
            if armed is not None:
                _die_in_the_guard(service, armed)
            else:
                os.kill(service.pid(role), signal.SIGKILL)

        timer = threading.Timer(_WARM_S, strike)
        kind = "logstore" if in_guard else "logstore+"
        ran = place.write(kind, service.name, "acks", _WRITERS, 64, seconds, on_go=timer.start)
        timer.join()
        if role == "supervisor":
            service.kill_all()
            service.start()
    before = [gap for times in ran.each_took for gap in _gaps(times, 0, killed_ns[0])]
    after = [gap for times in ran.each_took for gap in _gaps(times, killed_ns[0], 1 << 63)]
    return {"pause ms": max(after) / 1e6, "pause before ms": max(before) / 1e6}


def _die_in_the_guard(service: Service, armed: FailPoints) -> None:
    """Let one more writer die with the guard in its hands."""
    command = [sys.executable, "-P", "-m", "tools.bench.writer", "loop", "logstore"]
    with subprocess.Popen(
        [*command, service.name, "64", "1e9"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(armed.arm(_DIES_AT)),
        text=True,
    ) as victim:
        victim.communicate("go\n")


def _gaps(times: list[int], begin: int, end: int) -> list[int]:
    inside = [one for one in times if begin <= one < end]
    return [b - a for a, b in zip([begin or inside[0], *inside], inside, strict=False)]
