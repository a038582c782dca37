"""P5: read everything back; come back after kill -9."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import logstore
from tools.bench.measure import Bar, Case, Metrics
from tools.bench.place import Place
from tools.bench.work.sizes import MIB, span


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
    while logstore.service.supervised(path) and time.monotonic() < deadline:
        time.sleep(0.01)
