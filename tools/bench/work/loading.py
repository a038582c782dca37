"""P6: loading one record, at random, from warm files."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from tools.bench.histogram import Metrics
from tools.bench.measure import Bar, Case
from tools.bench.place import Place

LOADS: Final = 20_000
SLICE: Final = 500
PASSES: Final = 4
"""The first one, of one slice, only warms up."""
RING: Final = 1 << 20


def p6(place: Place, *, full: bool) -> list[Case]:
    """Random loads by LSN and by seq, beside plain preads of as many bytes in the same round."""
    amount = 2_000_000 if full else 1_000_000
    sizes = (64, 1024) if full else (64,)
    cases = []
    for size in sizes:
        for way, most in (("LSN", 3.0), ("seq", 6.0)):
            run = partial(_loads, place, way, size, amount * 64 // size)
            cases.append(Case("P6", f"by {way}, {size:,} B", run, (Bar("CPU us", most=most),)))
    return cases


def _loads(place: Place, way: str, size: int, amount: int) -> Metrics:
    """Load records that the ring holds no more, and read as much at the same places."""
    chosen = random.Random(amount)
    with place.service(ring_size=RING) as service, service.attach() as log:
        group = log.group("orders")
        payload = b"x" * size
        lsns = [lsn for _ in range(amount // 100) for lsn in group.append_many([payload] * 100)]
        log.sync()
        old = [at for at in range(len(lsns)) if lsns[at] < lsns[-1] - RING]
        at_random = [chosen.choice(old) for _ in range(LOADS)]
        if way == "LSN":
            loads_us, cpu_us = _each_us(log.load, [lsns[at] for at in at_random])
        else:
            loads_us, cpu_us = _each_us(group.load, [at + 1 for at in at_random])
        assert all(log.load(lsns[at]) == group.load(at + 1) for at in at_random[:100])
        length = lsns[-1] - lsns[-2]
        reads_us, reads_cpu_us = _preads_us(service.path, [lsns[at] for at in at_random], length)
    return {
        "p50 us": loads_us[len(loads_us) // 2],
        "p99 us": loads_us[len(loads_us) * 99 // 100],
        "pread p50 us": reads_us[len(reads_us) // 2],
        "CPU us": cpu_us,
        "pread CPU us": reads_cpu_us,
    }


def _each_us(load: Callable[[int], object], places: Sequence[int]) -> tuple[list[float], float]:
    """Return how long a call takes, in the mean of each slice of calls, sorted; and CPU time."""
    took: list[float] = []
    cpu_ns = 0
    for number in range(PASSES):
        before_ns = time.thread_time_ns()
        for start in range(0, len(places) if number else SLICE, SLICE):
            began_ns = time.perf_counter_ns()
            for place in places[start : start + SLICE]:
                load(place)
            took.append((time.perf_counter_ns() - began_ns) / 1000 / SLICE)
        if number:
            cpu_ns += time.thread_time_ns() - before_ns
    return sorted(took[1:]), cpu_ns / 1000 / (PASSES - 1) / len(places)


def _preads_us(directory: Path, lsns: Sequence[int], length: int) -> tuple[list[float], float]:
    """Time plain preads of the frames at some LSNs."""
    names = sorted(directory.glob("*.seg"))
    files = [(int(name.stem), os.open(name, os.O_RDONLY)) for name in names]
    spots = []
    for lsn in lsns:
        base_lsn, fd = max(one for one in files if one[0] <= lsn)
        spots.append((fd, 4096 + lsn - base_lsn))
    try:
        return _each_us(lambda at: os.pread(spots[at][0], length, spots[at][1]), range(len(spots)))
    finally:
        for _, fd in files:
            os.close(fd)
