"""A load that a test appends itself, step by step."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Final

from logstore import Log
from tests.oracle import Oracle
from tests.programs.writer import Writer
from tests.service import Service, until

RING: Final = 1 << 16
WRAPPING: Final = 9000
"""A size of which every seventh record goes over the end of a small ring."""
LARGEST: Final = RING // 4 - 32


class Load:
    """A batch writer and one that waits for the disk, both in the test itself, taking turns."""

    def __init__(self, log: Log, oracle: Oracle, sizes: str = "0-900") -> None:
        # A batch may not be larger than the largest record.
        batch = 1 if sizes in (str(WRAPPING), str(LARGEST)) else 5
        options = argparse.Namespace(batch=batch, sizes=sizes, seed=1, abort_every=3)
        self.pipes = [oracle.listen(), oracle.listen()]
        self.writers = [
            Writer(log, argparse.Namespace(**vars(options), writer=n, durability=level, events=fd))
            for n, level, fd in zip((1, 2), ("ring", "synced"), self.pipes, strict=True)
        ]

    def turn(self) -> None:
        """Append a batch, two reservations and a record, and wait for the last."""
        batches, singles = self.writers
        batches.append_many()
        batches.reserve()
        batches.reserve()
        singles.append()

    def outlive(self, once: Path) -> None:
        """Take turns until a process has died at its point, and some more; then end."""
        turns = 0
        while once.exists():
            self.turn()
            turns += 1
            assert turns < 5000, "the point is never reached"
        for _ in range(20):
            self.turn()
        self.end()

    def attach(self, log: Log) -> None:
        """Go on with another handle."""
        for writer in self.writers:
            writer.log = log

    def end(self) -> None:
        """Report no more."""
        for fd in self.pipes:
            os.close(fd)


def was_replaced_once(log: Log, role: str) -> None:
    """Wait until the supervisor has counted that it replaced a worker.

    One of a dying process's threads is at the point; another may go on until all are dead, and the
    log with it.
    """
    until(lambda: log.status().counters[f"{role}_restarts"], f"the {role} is replaced")
    assert log.status().counters[f"{role}_restarts"] == 1


def nothing_is_lost(service: Service, oracle: Oracle, silence_s: float) -> None:
    """Compare with the oracle, how long it was silent too; and again after a clean restart."""
    oracle.until_all_told()
    assert max(map(oracle.longest_silence_s, (1, 2))) < silence_s
    records = service.read_all()
    oracle.check(records)
    assert service.stop() == 0
    service.start()
    assert service.read_all() == records
