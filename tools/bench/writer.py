"""One writer process of a benchmark: `python -m tools.bench.writer WAY PLACE SIZE AMOUNT [EXTRA]`.

Attaches, says "ready", waits for a line, works, and prints what it did as one JSON object. AMOUNT
is a number of records, or of seconds for the ways that block.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from collections import deque
from collections.abc import Callable

import logstore


def loop(log: logstore.Log, size: int, amount: float, extra: int) -> list[int]:
    """Append one by one in a plain loop, then sync."""
    payload = os.urandom(size)
    for _ in range(int(amount)):
        log.append(payload)
    log.sync()
    return []


def many(log: logstore.Log, size: int, amount: float, extra: int) -> list[int]:
    """Append in batches of `extra`, then sync."""
    batch = [os.urandom(size)] * extra
    for _ in range(int(amount) // extra):
        log.append_many(batch)
    log.sync()
    return []


def flight(log: logstore.Log, size: int, amount: float, extra: int) -> list[int]:
    """Keep `extra` records in flight, and wait for each of them."""
    payload = os.urandom(size)
    waiting: deque[int] = deque()
    for _ in range(int(amount)):
        waiting.append(log.append(payload))
        if len(waiting) == extra:
            log.wait(waiting.popleft())
    for lsn in waiting:
        log.wait(lsn)
    return []


def blocking(log: logstore.Log, size: int, amount: float, extra: int) -> list[int]:
    """Append and wait for the disk, one record after the other."""
    payload = os.urandom(size)
    took = []
    end = time.monotonic() + amount
    while time.monotonic() < end:
        began = time.monotonic_ns()
        log.append(payload, durability="synced")
        took.append(time.monotonic_ns() - began)
    return took


def sqlite_blocking(base: sqlite3.Connection, size: int, amount: float, extra: int) -> list[int]:
    """Insert and commit, one record after the other."""
    payload = os.urandom(size)
    took = []
    end = time.monotonic() + amount
    while time.monotonic() < end:
        began = time.monotonic_ns()
        base.execute("INSERT INTO log (payload) VALUES (?)", (payload,))
        took.append(time.monotonic_ns() - began)
    return took


def open_sqlite(path: str) -> sqlite3.Connection:
    """Open, or make, a database with one table, in its best durable setting."""
    base = sqlite3.connect(path, isolation_level=None, timeout=60.0)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA synchronous=FULL")
    base.execute("CREATE TABLE IF NOT EXISTS log (n INTEGER PRIMARY KEY, payload BLOB)")
    return base


WAYS: dict[str, Callable[[logstore.Log, int, float, int], list[int]]] = {
    "loop": loop,
    "many": many,
    "flight": flight,
    "blocking": blocking,
}


def main(words: list[str]) -> int:
    """Run one writer."""
    way, place, size, amount, *rest = words
    extra = int(rest[0]) if rest else 1
    base = open_sqlite(place) if way == "sqlite" else None
    log = None if base else logstore.attach(place)
    print("ready", flush=True)
    sys.stdin.readline()
    began_ns, cpu_ns = time.monotonic_ns(), time.process_time_ns()
    if base is not None:
        took = sqlite_blocking(base, int(size), float(amount), extra)
    else:
        assert log is not None
        took = WAYS[way](log, int(size), float(amount), extra)
    ended_ns, cpu_ns = time.monotonic_ns(), time.process_time_ns() - cpu_ns
    said = {"began_ns": began_ns, "ended_ns": ended_ns, "cpu_ns": cpu_ns, "took_ns": took}
    print(json.dumps(said), flush=True)
    if log is not None:
        log.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
