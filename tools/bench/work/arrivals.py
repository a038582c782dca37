"""P4: records come at a fixed rate, whether or not the store keeps up.

Latency counts from the moment a record was meant to come. A slow append delays those behind it,
and they count the delay: there is no coordinated omission.
"""

from __future__ import annotations

from functools import partial

from tools.bench.histogram import Histogram
from tools.bench.limits import bare_syncs_ns
from tools.bench.measure import Bar, Case, Timed
from tools.bench.place import Place
from tools.bench.stores import PEERS
from tools.bench.work.sizes import span

_PEER_RATES = {True: 1_000, False: 5_000}
"""Durable or not: what most peers can keep up with."""


def p4(place: Place, *, full: bool) -> list[Case]:
    """Latency of append and of durability from the intended start, at several rates."""
    seconds = 5.0 if full else 1.0
    cases = []
    bars = Bar("p50 us", most=1), Bar("p99 us", most=20)
    for rate in (10_000, 100_000):
        run = partial(_append, place, rate, seconds)
        facts = {"store": "logstore", "rate": rate, "durable": 0}
        cases.append(Case("P4", f"append, {rate:,}/s", run, bars, {**facts}))
    for rate in (10_000, 100_000):
        run = partial(_durable, place, rate, seconds)
        facts = {"store": "logstore", "rate": rate, "durable": 1}
        cases.append(
            Case("P4", f"durable, {rate:,}/s", run, (Bar("of bare p50", most=2),), {**facts})
        )
    for durable, rate in _PEER_RATES.items():
        for kind in ("logstore", *place.present(PEERS)):
            run = partial(_peer, place, kind, durable, rate, seconds)
            name = f"{kind}: {'durable put' if durable else 'put, not synced'}, {rate:,}/s"
            facts = {"store": kind, "rate": rate, "durable": int(durable), "peers": 1}
            cases.append(Case("P4", name, run, facts={**facts}))
    return cases


def _append(place: Place, rate: int, seconds: float) -> Timed:
    with place.service() as service:
        ran = place.write("logstore", service.name, "paced", 1, 64, seconds, rate)
    latency = Histogram(ran.took_ns)
    return Timed(latency.metrics(), latency)


def _durable(place: Place, rate: int, seconds: float) -> Timed:
    bare = Histogram(bare_syncs_ns(place.file(), span(64), seconds / 2))
    with place.service() as service:
        ran = place.write("logstore", service.name, "paced-durable", 1, 64, seconds, rate)
    latency = Histogram(ran.took_ns)
    bare_us = bare.percentile(0.5) / 1e3
    metrics = latency.metrics()
    of_bare = metrics["p50 us"] / bare_us
    return Timed({**metrics, "bare p50 us": bare_us, "of bare p50": of_bare}, latency)


def _peer(place: Place, kind: str, durable: bool, rate: int, seconds: float) -> Timed:
    with place.store(kind, durable=durable) as where:
        way = f"{kind}{'+' if durable else ''}"
        ran = place.write(way, where, "paced", 1, 64, seconds, rate)
    latency = Histogram(ran.took_ns)
    return Timed(latency.metrics(), latency)
