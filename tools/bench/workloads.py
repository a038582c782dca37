"""The workloads: P1 throughput, P2 in flight, P3 blocking writers, P5 reading and restart, P6."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import logstore
from tools.bench.limits import bare_syncs_ns, sequential_s
from tools.bench.loading import p6
from tools.bench.measure import Bar, Case, Metrics, percentile
from tools.bench.place import Place, Ran

HEADER: Final = 32
MIB: Final = 1 << 20


def span(size: int) -> int:
    """Return the bytes that a record takes in the log."""
    return (HEADER + size + 7) & ~7


# P1: as fast as they can, then sync.


def p1(place: Place, *, full: bool) -> list[Case]:
    """Throughput in bytes against the limit, by size, number of writers and way of appending."""
    total = 1024 * MIB if full else 256 * MIB
    loops = [(1, 64), (1, 256), (1, 1024), (1, 16384), (2, 64), (4, 64), (8, 64)]
    batches = [(n, size) for size in (64, 256, 1024, 16384) for n in (1, 2, 4, 8)]
    if not full:
        loops = [(1, 64), (4, 64), (1, 1024), (1, 16384)]
        batches = [(1, 64), (2, 64), (4, 64), (8, 64), (1, 1024), (1, 16384)]
    cases = []
    for way, chosen in (("loop", loops), ("many", batches)):
        for writers, size in chosen:
            least = 0.9 if size >= 1024 else 0.4 if way == "loop" else 0.5
            name = f"{way} {size:,} B, {writers} writer{'s' * (writers > 1)}"
            run = partial(_throughput, place, way, writers, size, total)
            cases.append(Case("P1", name, run, Bar("of limit", least=least)))
    return cases


def _throughput(place: Place, way: str, writers: int, size: int, total: int) -> Metrics:
    each = total // span(size) // writers
    batch = max(1, min(256, 256 * 1024 // span(size)))
    each -= each % batch
    wrote = each * writers * span(size)
    limit_s = sequential_s(place.file(), wrote)
    with place.service() as service:
        before_ns = place.cpu_ns(service)
        ran = place.write(service.name, way, writers, size, each, batch)
        cpu_ns = place.cpu_ns(service) - before_ns
    return {
        "records/s": each * writers / ran.seconds,
        "writer CPU ns": ran.cpu_ns / each / writers,
        "service CPU ns": cpu_ns / each / writers,
        "MB/s": wrote / ran.seconds / 1e6,
        "limit MB/s": wrote / limit_s / 1e6,
        "of limit": limit_s / ran.seconds,
    }


# P2: 1,000 in flight, each waited for.


def p2(place: Place, *, full: bool) -> list[Case]:
    """Records a second with 1,000 in flight in each process."""
    amount = 4_000_000 if full else 1_000_000
    bar = Bar("records/s", least=2_300_000)
    return [
        Case("P2", "1 process, 1,000 in flight", partial(_flight, place, 1, amount), bar),
        Case("P2", "2 processes, 1,000 in flight each", partial(_flight, place, 2, amount), bar),
    ]


def _flight(place: Place, writers: int, amount: int) -> Metrics:
    with place.service() as service:
        ran = place.write(service.name, "flight", writers, 64, amount // writers, 1000)
        with logstore.attach(service.name, read_only=True) as log:
            syncs = log.status().counters["syncs"]
    return {
        "records/s": amount / ran.seconds,
        "times the ancestor's 0.19 M/s": amount / ran.seconds / 190_000,
        "records per sync": amount / max(syncs, 1),
    }


# P3: append and wait for the disk.


def p3(place: Place, *, full: bool) -> list[Case]:
    """Latency and rate of blocking writers, beside bare pwrite + fdatasync, and SQLite."""
    seconds = 3.0 if full else 1.0
    cases = []
    for writers in (1, 2, 4, 8, 16, 64) if full else (1, 2, 8, 64):
        bar = Bar("of bare p50", most=1.2) if writers == 1 else None
        run = partial(_blocking, place, writers, seconds)
        cases.append(Case("P3", f"{writers} writer{'s' * (writers > 1)}", run, bar))
    for writers in (1, 8):
        run = partial(_sqlite, place, writers, seconds)
        cases.append(Case("P3", f"SQLite WAL FULL, {writers} writer{'s' * (writers > 1)}", run))
    return cases


def _latencies(ran: Ran, bare_ns: list[int]) -> Metrics:
    took_us = [took / 1000 for took in ran.took_ns]
    p50_us, p99_us = percentile(took_us, 0.5), percentile(took_us, 0.99)
    bare_us = percentile(bare_ns, 0.5) / 1000
    return {
        "records/s": len(took_us) / ran.seconds,
        "p50 us": p50_us,
        "p99 us": p99_us,
        "max us": max(took_us),
        "bare p50 us": bare_us,
        "of bare p50": p50_us / bare_us,
    }


def _blocking(place: Place, writers: int, seconds: float) -> Metrics:
    before = bare_syncs_ns(place.file(), span(64), seconds / 2)
    with place.service() as service:
        ran = place.write(service.name, "blocking", writers, 64, seconds)
    after = bare_syncs_ns(place.file(), span(64), seconds / 2)
    return _latencies(ran, before + after)


def _sqlite(place: Place, writers: int, seconds: float) -> Metrics:
    bare = bare_syncs_ns(place.file(), span(64), seconds / 2)
    ran = place.write(str(place.file()), "sqlite", writers, 64, seconds)
    return _latencies(ran, bare)


# P5: read everything back; come back after kill -9.


def p5(place: Place, *, full: bool) -> list[Case]:
    """Reading from Python, and the time to the first append after a kill of everything."""
    cases = [
        Case("P5", "read 64 B", partial(_read, place, 64), Bar("records/s", least=5e6)),
        Case("P5", "read 4,096 B", partial(_read, place, 4096), Bar("MB/s", least=2000)),
    ]
    for gib in (1, 8) if full else (1,):
        run = partial(_restart, place, gib << 30)
        bar = Bar("seconds to append", most=0.5)
        cases.append(Case("P5", f"kill -9, {gib} GiB of log", run, bar))
    return cases


def _read(place: Place, size: int) -> Metrics:
    amount = (256 if size == 64 else 512) * MIB // span(size)
    with place.service() as service:
        place.write(service.name, "many", 1, size, amount, 64)
        with logstore.attach(service.name, read_only=True) as log:
            began = time.monotonic()
            count = wanted = 0
            for record in log.read():
                count += 1
                wanted += len(record.payload)
            took_s = time.monotonic() - began
    assert wanted == count * size >= (amount - 64) * size, "not all of it was read"
    return {"records/s": count / took_s, "MB/s": wanted / took_s / 1e6}


def _restart(place: Place, total: int) -> Metrics:
    with place.service() as service:
        place.write(service.name, "many", 1, 16384, total // span(16384), 16)
        service.kill_all()
        began = time.monotonic()
        with logstore.open(service.path) as log:
            open_s = time.monotonic() - began
            log.append(b"first")
            append_s = time.monotonic() - began
            log.sync()
            sync_s = time.monotonic() - began
        _await_end(service.path)
        service.start()
    return {"seconds to append": append_s, "of it to open": open_s, "seconds to sync": sync_s}


def _await_end(path: Path) -> None:
    """Wait until the service that `open` started has ended by itself."""
    deadline = time.monotonic() + 30
    while logstore.service.supervised(path) and time.monotonic() < deadline:
        time.sleep(0.01)


WORKLOADS: Final[dict[str, Callable[..., list[Case]]]] = {
    "p1": p1,
    "p2": p2,
    "p3": p3,
    "p5": p5,
    "p6": p6,
}
