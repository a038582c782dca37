"""The workloads, by what they stress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tools.bench.measure import Case
from tools.bench.work.arrivals import p4
from tools.bench.work.blocking import p3
from tools.bench.work.growth import p9, p10
from tools.bench.work.kills import p8
from tools.bench.work.loading import p6
from tools.bench.work.passing import p7
from tools.bench.work.reading import p5
from tools.bench.work.throughput import p1, p2

WORKLOADS: Final[dict[str, Callable[..., list[Case]]]] = {
    "p1": p1,
    "p2": p2,
    "p3": p3,
    "p4": p4,
    "p5": p5,
    "p6": p6,
    "p7": p7,
    "p8": p8,
    "p9": p9,
    "p10": p10,
}
