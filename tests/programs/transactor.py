"""Run transactions until told to stop: `python -P -m tests.programs.transactor NAME TAG THREADS`.

Each line on standard output tells one thing, before or after it is done: "TAG.THREAD.N try PARTS",
"... committed LSN", "... aborted", "... reverted". Ends when its standard input is closed.
"""

from __future__ import annotations

import os
import random
import sys
import threading

import logstore
from logstore.errors import RevertedError

GROUPS = ("default", "orders", "billing")
MOST_PARTS = 6


def payload_of(name: str, part: int) -> bytes:
    """Return the payload of one part of the transaction `name`."""
    return f"{name} {part} ".encode() + bytes(part * 37)


def say(line: str) -> None:
    """Write a line, whole also when other threads write theirs."""
    os.write(1, f"{line}\n".encode())


def run_one(log: logstore.Log, name: str, chance: random.Random) -> None:
    """Run one transaction."""
    parts = chance.randint(1, MOST_PARTS)
    say(f"{name} try {parts}")
    transaction = log.transaction(chance.choice(GROUPS))
    for part in range(parts):
        transaction.append(payload_of(name, part), group=chance.choice((None, *GROUPS)))
    if chance.random() < 0.1:
        transaction.abort()
        say(f"{name} aborted")
        return
    try:
        lsn = transaction.commit()
    except RevertedError:
        say(f"{name} reverted")
    else:
        say(f"{name} committed {lsn}")


def run(log: logstore.Log, tag: str, stop: threading.Event) -> None:
    """Run transactions until told to stop."""
    chance = random.Random(tag)
    n = 0
    while not stop.is_set():
        n += 1
        run_one(log, f"{tag}.{n}", chance)


def main(name: str, tag: str, count: int) -> None:
    """Run so many threads."""
    stop = threading.Event()
    with logstore.attach(name) as log:
        threads = [
            threading.Thread(target=run, args=(log, f"{tag}.{number}", stop))
            for number in range(count)
        ]
        for thread in threads:
            thread.start()
        sys.stdin.read()
        stop.set()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
