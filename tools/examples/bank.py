"""A state machine kept by the log: accounts, and a million transfers between them.

    python -m tools.examples.bank data/bank --requests 1000000 --in-flight 1000

Run it, kill it with SIGKILL as often as you like, run it again: it goes on where the log ends. At
the end every account is compared with a model that was computed without the log.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
import time
from collections import deque
from collections.abc import Iterator

import logstore
from logstore.engines import Driver

ACCOUNTS = 1000
TRANSFER = struct.Struct("<QIIq")  # number, from, to, amount


class Bank:
    """The state machine: balances, and how many transfers made them."""

    def __init__(self) -> None:
        self.balances = [0] * ACCOUNTS
        self.count = 0

    def apply(self, record: logstore.Record) -> int:
        """Make one transfer; the answer is the giver's balance."""
        number, giver, taker, amount = TRANSFER.unpack(record.payload)
        if number != self.count:
            raise SystemExit(f"transfer {number} where {self.count} was to come")
        self.balances[giver] -= amount
        self.balances[taker] += amount
        self.count += 1
        balance: int = self.balances[giver]
        return balance

    def snapshot(self) -> bytes:
        """Return the state as bytes."""
        return struct.pack(f"<Q{ACCOUNTS}q", self.count, *self.balances)

    def restore(self, state: bytes) -> None:
        """Take a state on."""
        self.count, *self.balances = struct.unpack(f"<Q{ACCOUNTS}q", state)


def transfers(seed: int, count: int) -> Iterator[tuple[int, int, int, int]]:
    """Make the transfers; the same ones for the same seed."""
    numbers = random.Random(seed)
    for number in range(count):
        giver, taker = numbers.randrange(ACCOUNTS), numbers.randrange(ACCOUNTS)
        yield number, giver, taker, numbers.randrange(1, 1000)


def model(seed: int, count: int) -> list[int]:
    """Compute the balances without a log."""
    balances = [0] * ACCOUNTS
    for _, giver, taker, amount in transfers(seed, count):
        balances[giver] -= amount
        balances[taker] += amount
    return balances


def run(driver: Driver, bank: Bank, options: argparse.Namespace) -> int:
    """Send what the log does not have yet, with so many requests in flight; return how many."""
    sent, found = 0, bank.count
    flying: deque[int] = deque()
    # What was in flight when the process was killed is in the log, and applied, already.
    for transfer in transfers(options.seed, options.requests):
        if transfer[0] < found:
            continue
        flying.append(driver.submit(TRANSFER.pack(*transfer)))
        sent += 1
        if len(flying) >= options.in_flight:
            driver.answer(flying.popleft())
    for lsn in flying:
        driver.answer(lsn)
    return sent


def main(arguments: list[str] | None = None) -> int:
    """Run the example; 0 if the state equals the model."""
    parser = argparse.ArgumentParser(prog="python -m tools.examples.bank")
    parser.add_argument("directory")
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--in-flight", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--segment-size", default="64MiB")
    parser.add_argument("--snapshot-every", type=int, default=100_000)
    options = parser.parse_args(arguments)
    began = time.monotonic()
    bank = Bank()
    with logstore.open(options.directory, segment_size=options.segment_size) as log:
        # Each transfer is sent once: what is in the ring is durable before we look what there is.
        log.sync()
        with Driver(log, bank, snapshot_every=options.snapshot_every) as driver:
            found = bank.count
            sent = run(driver, bank, options)
        seconds = time.monotonic() - began
        log.compact()
        status = log.status()
    print(f"found {found} transfers, sent {sent} in {seconds:.1f} s: {sent / seconds:,.0f} /s")
    print(f"segments {status.segments}, {status.bytes_on_disk / 2**20:.0f} MiB on disk")
    right = bank.count == options.requests and bank.balances == model(options.seed, bank.count)
    print("state equals the model" if right else "STATE DIFFERS FROM THE MODEL")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
