"""P3: each record, or each batch, is durable before the next one is appended.

A closed loop: a writer that waits asks for nothing meanwhile. What arrives by the clock is P4.
"""

from __future__ import annotations

from functools import partial

from tools.bench.histogram import Histogram, Metrics
from tools.bench.limits import bare_syncs_ns
from tools.bench.measure import Bar, Case, Timed
from tools.bench.place import Place, Ran
from tools.bench.stores import MANY_PROCESSES, PEERS
from tools.bench.work.sizes import span, writers_word

_BATCH = 1000


def p3(place: Place, *, full: bool) -> list[Case]:
    """Latency and rate of blocking writers, beside bare pwrite + fdatasync, and the peers."""
    seconds = 3.0 if full else 0.7
    bars = {
        1: (Bar("of bare p50", most=1.2),),
        8: (Bar("times SQLite", least=8), Bar("max / p99", most=10)),
        64: (Bar("times SQLite", least=20), Bar("max / p99", most=10)),
    }
    cases = []
    for writers in (1, 2, 4, 8, 16, 64):
        run = partial(_blocking, place, writers, seconds)
        facts = {"store": "logstore", "writers": writers}
        cases.append(
            Case("P3", f"{writers_word(writers)}, logstore", run, bars.get(writers, ()), {**facts})
        )
    for kind in place.present(PEERS):
        for writers in (1, 2, 4, 8, 16, 64) if full else (1, 8, 64):
            if writers > 1 and kind not in MANY_PROCESSES:
                continue
            run = partial(_peer, place, kind, writers, seconds)
            facts = {"store": kind, "writers": writers}
            cases.append(Case("P3", f"{writers_word(writers)}, {kind}", run, facts={**facts}))
    for kind in ("logstore", *place.present(PEERS)):
        batches = partial(_batches, place, kind, 4 if full else 1)
        facts = {"store": kind, "batch": _BATCH}
        cases.append(Case("P3", f"batches of {_BATCH:,}, {kind}", batches, facts={**facts}))
    return cases


def _blocking(place: Place, writers: int, seconds: float) -> Timed:
    before = bare_syncs_ns(place.file(), span(64), seconds / 2)
    with place.service() as service:
        ran = place.write("logstore+", service.name, "blocking", writers, 64, seconds)
    after = bare_syncs_ns(place.file(), span(64), seconds / 2)
    timed = _beside(ran, before + after)
    if writers >= 8:
        with place.store("sqlite", durable=True) as where:
            peer = place.write("sqlite+", where, "blocking", writers, 64, seconds)
        rate = timed.metrics["records/s"]
        timed.metrics["times SQLite"] = rate * peer.seconds / len(peer.took_ns)
    return timed


def _beside(ran: Ran, bare_ns: list[int]) -> Timed:
    bare_us = Histogram(bare_ns).percentile(0.5) / 1e3
    latency = Histogram(ran.took_ns)
    metrics = {"records/s": len(ran.took_ns) / ran.seconds, **latency.metrics()}
    metrics["max / p99"] = metrics["max us"] / metrics["p99 us"]
    metrics |= {"bare p50 us": bare_us, "of bare p50": metrics["p50 us"] / bare_us}
    return Timed(metrics, latency)


def _peer(place: Place, kind: str, writers: int, seconds: float) -> Timed:
    bare_ns = bare_syncs_ns(place.file(), span(64), seconds / 2)
    with place.store(kind, durable=True) as where:
        ran = place.write(f"{kind}+", where, "blocking", writers, 64, seconds)
    return _beside(ran, bare_ns)


def _batches(place: Place, kind: str, factor: int) -> Metrics:
    """Each batch is durable before the next; as many as a slow store does in about a second."""
    amount = (200_000 if kind in ("logstore", "raw") else 20_000) * factor
    with place.store(kind, durable=True) as where:
        ran = place.write(f"{kind}+", where, "many", 1, 64, amount, _BATCH)
    return {"records/s": amount / ran.seconds}
