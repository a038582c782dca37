"""P9: start-up and memory against the log's size and the number of clients. P10: bytes on disk."""

from __future__ import annotations

import time
from functools import partial
from typing import Final

import psutil

import logstore
from tests.service import Service
from tools.bench.histogram import Metrics
from tools.bench.measure import Bar, Case
from tools.bench.place import Place
from tools.bench.work.sizes import MIB, span

_SEGMENT: Final = 1 << 18
_ROLES: Final = ("supervisor", "committer", "syncer")


def p9(place: Place, *, full: bool) -> list[Case]:
    """Start and memory after 10, 100 and 1,000 segments; appends beside many idle clients."""
    cases = [
        Case(
            "P9",
            f"{count:,} segments",
            partial(_segments, place, count),
            _bars(count),
            {"segments": count, "mib": count * _SEGMENT // MIB},
        )
        for count in ((10, 100, 1_000, 4_000) if full else (10, 100, 1_000))
    ]
    for clients in (1, 64, 512) if full else (1, 64):
        cases.append(Case("P9", f"{clients} idle clients", partial(_clients, place, clients)))
    return cases


def _bars(segments: int) -> tuple[Bar, ...]:
    return (Bar("start after kill s", most=0.5),) if segments > 10 else ()


def _segments(place: Place, count: int) -> Metrics:
    with place.service(segment_size=_SEGMENT) as service:
        amount = count * _SEGMENT // span(4096)
        place.write("logstore", service.name, "many", 1, 4096, amount, 16)
        memory = _memory(service)
        service.stop()
        clean_s = _start(service)
        service.kill_all()
        crash_s = _start(service)
        with logstore.attach(service.name, read_only=True) as log:
            began = time.monotonic()
            first = next(iter(log.read()))
            read_s = time.monotonic() - began
            assert len(first.payload) == 4096
        after = _memory(service)
    return {
        "start s": clean_s,
        "start after kill s": crash_s,
        "first record read ms": read_s * 1e3,
        "MB after writing": memory / 1e6,
        "MB after start": after / 1e6,
    }


def _start(service: Service) -> float:
    began = time.monotonic()
    service.start()
    with logstore.attach(service.name) as log:
        log.append(b"first")
    return time.monotonic() - began


def _memory(service: Service) -> int:
    """Return the bytes of memory that only the service's own processes use."""
    return sum(int(psutil.Process(service.pid(role)).memory_full_info().uss) for role in _ROLES)


def _clients(place: Place, count: int) -> Metrics:
    with place.service() as service:
        logs = [logstore.attach(service.name) for _ in range(count)]
        try:
            ran = place.write("logstore", service.name, "loop", 1, 64, 500_000)
            memory = _memory(service)
        finally:
            for log in logs:
                log.close()
    return {"records/s": 500_000 / ran.seconds, "service MB": memory / 1e6}


def p10(place: Place, *, full: bool) -> list[Case]:
    """Bytes on disk for each record, footers and manifest included."""
    total = 1024 * MIB if full else 192 * MIB
    bars = (Bar("bytes a record", most=104),)
    return [Case("P10", "64 B records", partial(_disk, place, total), bars)]


def _disk(place: Place, total: int) -> Metrics:
    amount = total // span(64)
    with place.service() as service:
        place.write("logstore", service.name, "many", 1, 64, amount, 256)
        service.stop()
        used = sum(file.stat().st_blocks * 512 for file in service.path.rglob("*"))
        service.start()
    return {"bytes a record": used / (amount - amount % 256)}
