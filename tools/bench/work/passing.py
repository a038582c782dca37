"""P7: from append in one process to record seen by a follower in another."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from functools import partial

import logstore
from tests.service import environment
from tools.bench.histogram import Histogram
from tools.bench.measure import Bar, Case, Timed
from tools.bench.place import Place

_PAUSE_S = 0.0005


def p7(place: Place, *, full: bool) -> list[Case]:
    """Latency of a single record that comes after a pause, by the level the follower waits for."""
    count = 10_000 if full else 2_000
    return [
        Case("P7", f"level {level}", partial(_passing, place, level, count), bars)
        for level, bars in (
            ("ring", (Bar("p50 us", most=50),)),
            ("written", (Bar("p50 us", most=50),)),
            ("synced", ()),
        )
    ]


def _passing(place: Place, level: str, count: int) -> Timed:
    with place.service() as service:
        command = [sys.executable, "-P", "-m", "tools.bench.follower", service.name, level]
        with subprocess.Popen(
            [*command, str(count)], stdout=subprocess.PIPE, env=environment(), text=True
        ) as follower:
            assert follower.stdout is not None
            if follower.stdout.readline() != "ready\n":
                raise ChildProcessError("the follower did not come up")
            with logstore.attach(service.name) as log:
                for _ in range(count):
                    log.append(struct.pack("<Q", time.monotonic_ns()))
                    time.sleep(_PAUSE_S)
            took_ns = [int(word) for word in follower.stdout.readline().split()]
    latency = Histogram(took_ns)
    return Timed(latency.metrics(), latency)
