"""P1: as fast as they can, then sync. P2: many in flight, each waited for."""

from __future__ import annotations

from functools import partial

import logstore
from tools.bench.histogram import Metrics
from tools.bench.limits import sequential_s
from tools.bench.measure import Bar, Case, Facts
from tools.bench.place import Place
from tools.bench.stores import PEERS
from tools.bench.work.sizes import MIB, span, writers_word

_BATCH = 1000
_SIZES = (64, 1024, 16384)
_PEER_BYTES = 48 * MIB
"""What a peer writes at most, so that large records take no longer than small ones."""


def p1(place: Place, *, full: bool) -> list[Case]:
    """Throughput in bytes against the limit, by size, number of writers and way of appending."""
    total = 1024 * MIB if full else 192 * MIB
    loops = [(n, size) for size in (64, 256, 1024, 16384) for n in (1, 2, 4, 8)]
    batches = list(loops)
    if not full:
        loops = [(1, 64), (4, 64), (1, 1024), (1, 16384)]
        batches = [(1, 64), (2, 64), (4, 64), (8, 64), (1, 1024), (1, 16384)]
    cases = []
    for way, chosen in (("loop", loops), ("many", batches)):
        for writers, size in chosen:
            least = 0.9 if size >= 1024 else 0.5
            facts: Facts = {"store": "logstore", "way": way, "writers": writers, "size": size}
            run = partial(_throughput, place, way, writers, size, total)
            name = f"{way} {size:,} B, {writers_word(writers)}"
            cases.append(Case("P1", name, run, (Bar("of limit", least=least),), facts))
    return cases + _peers(place, 300_000 if full else 50_000)


def _peers(place: Place, amount: int) -> list[Case]:
    """Peers that are told not to sync; each makes all of it durable at the end, as we do."""
    cases = []
    for kind in place.present(PEERS):
        for way, size in (*(("loop", size) for size in _SIZES), ("many", 64)):
            records = min(amount * (5 if way == "many" else 1), _PEER_BYTES // size)
            run = partial(_peer, place, way, kind, size, records)
            name = f"{way} {size:,} B, 1 writer, {kind}"
            headline = (kind, way, size) == ("rocksdict", "loop", 64)
            bars = (Bar("logstore / peer", least=15),) if headline else ()
            facts: Facts = {"store": kind, "way": way, "writers": 1, "size": size}
            cases.append(Case("P1", name, run, bars, facts))
    return cases


def _throughput(place: Place, way: str, writers: int, size: int, total: int) -> Metrics:
    each = total // span(size) // writers
    batch = max(1, min(256, 256 * 1024 // span(size)))
    each -= each % batch
    wrote = each * writers * span(size)
    limit_s = sequential_s(place.file(), wrote)
    with place.service() as service:
        before_ns = place.cpu_ns(service)
        ran = place.write("logstore", service.name, way, writers, size, each, batch)
        cpu_ns = place.cpu_ns(service) - before_ns
    return {
        "records/s": each * writers / ran.seconds,
        "writer CPU ns": ran.cpu_ns / each / writers,
        "service CPU ns": cpu_ns / each / writers,
        "MB/s": wrote / ran.seconds / 1e6,
        "limit MB/s": wrote / limit_s / 1e6,
        "of limit": limit_s / ran.seconds,
    }


def _peer(place: Place, way: str, kind: str, size: int, amount: int) -> Metrics:
    """Measure a peer, and this log with ten times as many records right behind it."""
    with place.store(kind, durable=False) as where:
        peer = place.write(kind, where, way, 1, size, amount, _BATCH)
    more = 10 if size == 64 else 1
    with place.service() as service:
        ours = place.write("logstore", service.name, way, 1, size, amount * more, _BATCH)
    ours_rate = amount * more / ours.seconds
    return {
        "records/s": amount / peer.seconds,
        "MB/s": amount * size / peer.seconds / 1e6,
        "writer CPU ns": peer.cpu_ns / amount,
        "logstore records/s": ours_rate,
        "logstore / peer": ours_rate * peer.seconds / amount,
    }


def p2(place: Place, *, full: bool) -> list[Case]:
    """Records a second with 1,000 in flight in each process."""
    amount = 4_000_000 if full else 1_000_000
    bars = (Bar("records/s", least=2_300_000),)
    return [
        Case("P2", "1 process, 1,000 in flight", partial(_flight, place, 1, amount), bars),
        Case("P2", "2 processes, 1,000 in flight each", partial(_flight, place, 2, amount), bars),
    ]


def _flight(place: Place, writers: int, amount: int) -> Metrics:
    with place.service() as service:
        before_ns = place.cpu_ns(service)
        ran = place.write("logstore", service.name, "flight", writers, 64, amount // writers, 1000)
        cpu_ns = place.cpu_ns(service) - before_ns
        with logstore.attach(service.name, read_only=True) as log:
            syncs = log.status().counters["syncs"]
    return {
        "records/s": amount / ran.seconds,
        "times the ancestor's 0.19 M/s": amount / ran.seconds / 190_000,
        "records per sync": amount / max(syncs, 1),
        "writer CPU ns": ran.cpu_ns / amount,
        "service CPU ns": cpu_ns / amount,
    }
