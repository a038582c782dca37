"""P5: read everything back; come back after kill -9."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import logstore
from logstore.service import supervised
from tools.bench.histogram import Metrics
from tools.bench.measure import Bar, Case
from tools.bench.place import Place
from tools.bench.stores import PEERS, STORES
from tools.bench.work.sizes import MIB, span


def p5(place: Place, *, full: bool) -> list[Case]:
    """Reading from Python, and the time to the first append after a kill of everything."""
    goals = {64: Bar("records/s", least=5e6), 4096: Bar("MB/s", least=2000)}
    cases = [
        Case("P5", f"read {size:,} B", partial(_read, place, size), (bar,), {"size": size})
        for size, bar in goals.items()
    ]
    for kind in place.present(PEERS):
        run = partial(_read_peer, place, kind, 500_000 if full else 100_000)
        cases.append(Case("P5", f"read 64 B, {kind}", run, facts={"store": kind, "size": 64}))
    for gib in (1, 8) if full else (1,):
        run = partial(_restart, place, gib << 30)
        bars = (Bar("seconds to append", most=0.5),)
        cases.append(Case("P5", f"kill -9, {gib} GiB of log", run, bars, {"gib": gib}))
    return cases


def _read(place: Place, size: int) -> Metrics:
    amount = (256 if size == 64 else 512) * MIB // span(size)
    with place.service() as service:
        place.write("logstore", service.name, "many", 1, size, amount, 64)
        with logstore.attach(service.name, read_only=True) as log:
            began = time.monotonic()
            count = wanted = 0
            for record in log.read():
                count += 1
                wanted += len(record.payload)
            took_s = time.monotonic() - began
    assert wanted == count * size >= (amount - 64) * size, "not all of it was read"
    return {"records/s": count / took_s, "MB/s": wanted / took_s / 1e6}


def _read_peer(place: Place, kind: str, amount: int) -> Metrics:
    with place.store(kind, durable=False) as where:
        store = STORES[kind](where, durable=False)
        batch = [os.urandom(64)] * 1000
        for _ in range(amount // 1000):
            store.put_many(batch)
        began = time.monotonic()
        count = wanted = 0
        for payload in store.read():
            count += 1
            wanted += len(payload)
        took_s = time.monotonic() - began
        store.close()
    assert wanted == count * 64 == amount * 64, "not all of it was read"
    return {"records/s": count / took_s, "MB/s": wanted / took_s / 1e6}


def _restart(place: Place, total: int) -> Metrics:
    with place.service() as service:
        place.write("logstore", service.name, "many", 1, 16384, total // span(16384), 16)
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
    while supervised(path) and time.monotonic() < deadline:
        time.sleep(0.01)
