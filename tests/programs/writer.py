"""Append records to a log and report each: `python -P -m tests.programs.writer PLACE --events FD`.

Ends after `--count` records, or when its standard input is closed. Its exit code is 0 unless an
append failed; then it is 3 and the error is on standard error.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import logstore
from logstore.lsn import DURABILITIES, Durability
from tests.programs.events import Reporter

LOOK_EVERY = 16  # records between two looks at standard input


def sizes_of(text: str, seed: int) -> Iterator[int]:
    """Yield payload sizes: a number, a list "0,1,64" taken in turn, or a range "10-2000"."""
    if "-" in text:
        lowest, highest = map(int, text.split("-"))
        generator = random.Random(seed)
        while True:
            yield generator.randint(lowest, highest)
    numbers = [int(part) for part in text.split(",")]
    while True:
        yield from numbers


def payload_of(writer: int, n: int, size: int) -> bytes:
    """Return bytes that no other record of the run has, if there is room for that."""
    head = b"%d:%d:" % (writer, n)
    return (head * (size // len(head) + 1))[:size]


class Writer:
    """One writer's loop."""

    def __init__(self, log: logstore.Log, options: argparse.Namespace) -> None:
        self.log = log
        self.options = options
        self.durability = cast(Durability, options.durability)
        self.report = Reporter(options.events, options.writer)
        self.sizes = sizes_of(options.sizes, options.seed)
        self.n = 0
        self.batches = 0

    def payloads(self, count: int) -> list[bytes]:
        """Make the next records."""
        numbers = range(self.n + 1, self.n + 1 + count)
        return [payload_of(self.options.writer, n, next(self.sizes)) for n in numbers]

    def append(self) -> None:
        """Append one record."""
        (payload,) = self.payloads(1)
        self.report.issued(self.n + 1, [payload])
        lsn = self.log.append(payload, durability=self.durability)
        self.report.acked(self.n + 1, [lsn], self.durability)
        self.n += 1

    def append_many(self) -> None:
        """Append one batch."""
        payloads = self.payloads(self.options.batch)
        self.batches = self.batches % 65535 + 1
        self.report.issued(self.n + 1, payloads, self.batches)
        lsns = self.log.append_many(payloads, durability=self.durability)
        self.report.acked(self.n + 1, lsns, self.durability, self.batches)
        self.n += len(payloads)

    def reserve(self) -> None:
        """Fill a reservation in place; give some up."""
        (payload,) = self.payloads(1)
        self.report.issued(self.n + 1, [payload])
        abort = (self.n + 1) % self.options.abort_every == 0
        try:
            with self.log.reserve(len(payload)) as reservation:
                reservation.buffer[:] = payload
                if abort:
                    raise InterruptedError
        except InterruptedError:
            self.report.aborted(self.n + 1, reservation.lsn)
        else:
            if self.durability != "ring":
                self.log.wait(reservation.lsn, self.durability)
            self.report.acked(self.n + 1, [reservation.lsn], self.durability)
        self.n += 1

    def hold(self) -> None:
        """Hold a reservation, half filled, until killed."""
        (payload,) = self.payloads(1)
        self.report.issued(self.n + 1, [payload])
        with self.log.reserve(len(payload)) as reservation:
            half = len(payload) // 2
            reservation.buffer[:half] = payload[:half]
            self.report.held(self.n + 1, reservation.lsn)
            while True:
                select.select([], [], [])

    def run(self) -> None:
        """Append until told to stop."""
        step = self.append_many if self.options.batch else self.append
        if self.options.reserve:
            step = self.reserve
        rounds = 0
        while self.options.count is None or self.n < self.options.count:
            if self.n == self.options.hold_after:
                self.hold()
            step()
            rounds += 1
            if self.options.sync_every and rounds % self.options.sync_every == 0:
                self.log.sync()
            if rounds % LOOK_EVERY == 0 and select.select([0], [], [], 0)[0]:
                break
        if self.options.wait_last:
            self.log.sync()


def main(argv: list[str]) -> int:
    """Run one writer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("place", help="the log's name, or its directory with a slash")
    parser.add_argument("--events", type=int, required=True, help="file descriptor of the pipe")
    parser.add_argument("--writer", type=int, default=0)
    parser.add_argument("--durability", choices=DURABILITIES, default="ring")
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--reserve", action="store_true")
    parser.add_argument("--abort-every", type=int, default=7, help="of the reservations")
    parser.add_argument("--sizes", default="64")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int)
    parser.add_argument("--sync-every", type=int, default=0)
    parser.add_argument("--wait-last", action="store_true", help="end when all of it is durable")
    parser.add_argument("--hold-after", type=int, default=-1)
    parser.add_argument("--open", action="store_true", help="open the directory, do not attach")
    options = parser.parse_args(argv)
    opener = logstore.open if options.open else logstore.attach
    place: str | Path = Path(options.place) if "/" in options.place else options.place
    try:
        with opener(place) as log:
            Writer(log, options).run()
    except logstore.LogstoreError as error:
        print(f"writer {options.writer}: {type(error).__name__}: {error}", file=sys.stderr)
        return 3
    finally:
        os.close(options.events)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
