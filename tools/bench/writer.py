"""One writer process of a benchmark: WAY KIND PLACE SIZE AMOUNT [EXTRA].

Opens the store, says "ready", waits for a line, works, and prints what it did as one JSON object.
KIND is the store, with "+" behind it if it must be durable. AMOUNT is a number of records, or of
seconds for the ways that wait for each record.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
import time
from collections import deque
from collections.abc import Callable

import logstore
from tools.bench.stores import STORES, Logstore, Store

SLACK_NS = 80_000  # sleep until so long before the time, then look at the clock
AWAKE_NS = 200_000  # or never sleep, for times as short as those of getting up


def loop(store: Store, size: int, amount: float, extra: int) -> list[int]:
    """Add one by one in a plain loop, then make all of it durable."""
    payload = os.urandom(size)
    put = store.log.append if isinstance(store, Logstore) else store.put
    for _ in range(int(amount)):
        put(payload)
    store.finish()
    return []


def many(store: Store, size: int, amount: float, extra: int) -> list[int]:
    """Add in batches of `extra`, then make all of it durable."""
    batch = [os.urandom(size)] * extra
    for _ in range(int(amount) // extra):
        store.put_many(batch)
    store.finish()
    return []


def flight(store: Store, size: int, amount: float, extra: int) -> list[int]:
    """Keep `extra` records in flight, and wait for each of them."""
    assert isinstance(store, Logstore)
    log = store.log
    payload = os.urandom(size)
    waiting: deque[int] = deque()
    for _ in range(int(amount)):
        waiting.append(log.append(payload))
        if len(waiting) == extra:
            log.wait(waiting.popleft())
    for lsn in waiting:
        log.wait(lsn)
    return []


def blocking(store: Store, size: int, amount: float, extra: int) -> list[int]:
    """Add one record after the other, each durable before the next, for so many seconds."""
    payload = os.urandom(size)
    took = []
    end = time.monotonic() + amount
    while time.monotonic() < end:
        began = time.monotonic_ns()
        store.put(payload)
        took.append(time.monotonic_ns() - began)
    return took


def acks(store: Store, size: int, amount: float, extra: int) -> list[int]:
    """Do as `blocking`, but return the times of the acks."""
    payload = os.urandom(size)
    times = []
    end = time.monotonic() + amount
    while time.monotonic() < end:
        store.put(payload)
        times.append(time.monotonic_ns())
    return times


def _until(intended_ns: int, slack_ns: int = SLACK_NS) -> None:
    rest_ns = intended_ns - time.monotonic_ns() - slack_ns
    if rest_ns > 0:
        time.sleep(rest_ns / 1e9)
    while time.monotonic_ns() < intended_ns:
        pass


def paced(store: Store, size: int, amount: float, extra: int) -> list[int]:
    """Add `extra` records a second; return how long after its intended time each was in."""
    payload = os.urandom(size)
    # The log's own method where it is the same: the peers' faces are as thin.
    put = store.log.append if isinstance(store, Logstore) and not store.durable else store.put
    took = []
    began = time.monotonic_ns() + 1_000_000
    for number in range(int(amount * extra)):
        intended = began + number * 1_000_000_000 // extra
        _until(intended, AWAKE_NS)
        put(payload)
        took.append(time.monotonic_ns() - intended)
    return took


def paced_durable(store: Store, size: int, amount: float, extra: int) -> list[int]:
    """Do as `paced`, but return how long after its intended time each record was durable.

    A second process waits for the newest record that it knows of, again and again, and takes the
    time for all that are covered. So waiting never delays the next arrival.
    """
    assert isinstance(store, Logstore)
    count = int(amount * extra)
    shared = mmap.mmap(-1, 8 * (count + 1))
    words = memoryview(shared).cast("Q")  # the number of records that are in, then their LSNs
    began = time.monotonic_ns() + 50_000_000
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reader)
        with store.log as log, os.fdopen(writer, "w") as out:  # attaches anew: it is a new process
            out.write(json.dumps(_watch(log, words, count, began, extra)))
        os._exit(0)
    os.close(writer)
    payload = os.urandom(size)
    for number in range(count):
        _until(began + number * 1_000_000_000 // extra)
        words[number + 1] = store.log.append(payload)
        words[0] = number + 1
    with os.fdopen(reader) as said:
        took = json.loads(said.read())
    os.waitpid(child, 0)
    return [int(one) for one in took]


def _watch(log: logstore.Log, words: memoryview, count: int, began: int, rate: int) -> list[int]:
    took: list[int] = []
    while len(took) < count:
        known = words[0]
        if known == len(took):
            # Nothing is under way. Looking all the time would take a core from the service.
            rest_ns = began + known * 1_000_000_000 // rate - time.monotonic_ns()
            time.sleep(max(rest_ns, 0) / 1e9)
            continue
        log.wait(words[known])
        now = time.monotonic_ns()
        took += [now - began - n * 1_000_000_000 // rate for n in range(len(took), known)]
    return took


WAYS: dict[str, Callable[[Store, int, float, int], list[int]]] = {
    "loop": loop,
    "many": many,
    "flight": flight,
    "blocking": blocking,
    "acks": acks,
    "paced": paced,
    "paced-durable": paced_durable,
}


def main(words: list[str]) -> int:
    """Run one writer."""
    way, kind, place, size, amount, *rest = words
    store = STORES[kind.rstrip("+")](place, durable=kind.endswith("+"))
    print("ready", flush=True)
    sys.stdin.readline()
    began_ns, cpu_ns = time.monotonic_ns(), time.process_time_ns()
    took = WAYS[way](store, int(size), float(amount), int(rest[0]) if rest else 1)
    ended_ns, cpu_ns = time.monotonic_ns(), time.process_time_ns() - cpu_ns
    said = {"began_ns": began_ns, "ended_ns": ended_ns, "cpu_ns": cpu_ns, "took_ns": took}
    print(json.dumps(said), flush=True)
    store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
