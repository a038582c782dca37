"""P3: each record is durable before the next one is appended."""

from __future__ import annotations

from functools import partial

from tools.bench.limits import bare_syncs_ns
from tools.bench.measure import Bar, Case, Metrics, latencies, percentile
from tools.bench.place import Place, Ran
from tools.bench.stores import MANY_PROCESSES
from tools.bench.work.sizes import span, writers_word


def p3(place: Place, *, full: bool) -> list[Case]:
    """Latency and rate of blocking writers, beside bare pwrite + fdatasync, and the peers."""
    seconds = 3.0 if full else 1.0
    bars = {
        1: Bar("of bare p50", most=1.2),
        8: Bar("times SQLite", least=8),
        64: Bar("times SQLite", least=20),
    }
    cases = []
    for writers in (1, 2, 4, 8, 16, 64) if full else (1, 2, 8, 64):
        run = partial(_blocking, place, writers, seconds)
        cases.append(Case("P3", writers_word(writers), run, bars.get(writers)))
    for kind in place.present((*MANY_PROCESSES, "rocksdict")):
        for writers in (1, 8, 64) if full else (1, 8):
            if writers > 1 and kind not in MANY_PROCESSES:
                continue
            run = partial(_peer, place, kind, writers, seconds)
            cases.append(Case("P3", f"{writers_word(writers)}, {kind}", run))
    return cases


def _blocking(place: Place, writers: int, seconds: float) -> Metrics:
    before = bare_syncs_ns(place.file(), span(64), seconds / 2)
    with place.service() as service:
        ran = place.write("logstore+", service.name, "blocking", writers, 64, seconds)
    after = bare_syncs_ns(place.file(), span(64), seconds / 2)
    metrics = _beside(ran, before + after)
    if writers >= 8:
        with place.store("sqlite", durable=True) as where:
            peer = place.write("sqlite+", where, "blocking", writers, 64, seconds)
        metrics["times SQLite"] = metrics["records/s"] * peer.seconds / len(peer.took_ns)
    return metrics


def _beside(ran: Ran, bare_ns: list[int]) -> Metrics:
    bare_us = percentile(bare_ns, 0.5) / 1000
    metrics = {"records/s": len(ran.took_ns) / ran.seconds, **latencies(ran.took_ns)}
    return {**metrics, "bare p50 us": bare_us, "of bare p50": metrics["p50 us"] / bare_us}


def _peer(place: Place, kind: str, writers: int, seconds: float) -> Metrics:
    bare_ns = bare_syncs_ns(place.file(), span(64), seconds / 2)
    with place.store(kind, durable=True) as where:
        ran = place.write(f"{kind}+", where, "blocking", writers, 64, seconds)
    return _beside(ran, bare_ns)
