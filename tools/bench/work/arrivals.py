"""P4: records come at a fixed rate, whether or not the log keeps up.

Latency counts from the moment a record was meant to come. A slow append delays those behind it,
and they count the delay: there is no coordinated omission.
"""

from __future__ import annotations

from functools import partial

from tools.bench.limits import bare_syncs_ns
from tools.bench.measure import Bar, Case, Metrics, latencies, percentile
from tools.bench.place import Place
from tools.bench.work.sizes import span


def p4(place: Place, *, full: bool) -> list[Case]:
    """Latency of append and of durability from the intended start, at two rates."""
    seconds = 5.0 if full else 1.0
    cases = []
    for rate in (10_000, 100_000):
        run = partial(_append, place, rate, seconds)
        cases.append(Case("P4", f"append, {rate:,}/s", run, Bar("p99 us", most=20)))
    for rate in (10_000, 100_000):
        run = partial(_durable, place, rate, seconds)
        cases.append(Case("P4", f"durable, {rate:,}/s", run, Bar("of bare p50", most=2)))
    return cases


def _append(place: Place, rate: int, seconds: float) -> Metrics:
    with place.service() as service:
        ran = place.write("logstore", service.name, "paced", 1, 64, seconds, rate)
    return latencies(ran.took_ns)


def _durable(place: Place, rate: int, seconds: float) -> Metrics:
    bare_us = percentile(bare_syncs_ns(place.file(), span(64), seconds / 2), 0.5) / 1000
    with place.service() as service:
        ran = place.write("logstore", service.name, "paced-durable", 1, 64, seconds, rate)
    metrics = latencies(ran.took_ns)
    return {**metrics, "bare p50 us": bare_us, "of bare p50": metrics["p50 us"] / bare_us}
