"""Read a log all the time while it is being stressed: `python -m tools.stress_reader NAME FILE`.

Follows what is durable, over restarts of the service, until its standard input is closed. Each
record must come after the one before it, and each writer's in the order of their numbers. Writes
how many records it has seen to FILE at the end; exit code 1 if something was wrong.
"""

from __future__ import annotations

import select
import sys
from pathlib import Path

import logstore

PATIENCE_S = 0.2


class Reader:
    """One reader's position, and what it has seen."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.last: logstore.Record | None = None
        self.numbers: dict[int, int] = {}

    def take(self, record: logstore.Record) -> None:
        """Check a record against the ones before it."""
        if self.last is not None and record.lsn <= self.last.lsn:
            raise AssertionError(f"{record!r} came after {self.last!r}")
        head = bytes(record.payload[:40]).split(b":", 2)
        if len(head) == 3:  # a shorter payload does not tell whose it is
            writer, number = int(head[0]), int(head[1])
            if number <= self.numbers.get(writer, 0):
                raise AssertionError(f"writer {writer}: {number} at {record.lsn} is out of order")
            self.numbers[writer] = number
        self.last = record
        self.count += 1

    def follow(self) -> None:
        """Read what is new; return when nothing has come for a moment."""
        with logstore.attach(self.name, read_only=True) as log:
            start = log.watermarks().start if self.last is None else self.last.lsn
            for record in log.follow(start, timeout=PATIENCE_S):
                if self.last is None or record.lsn != self.last.lsn:
                    self.take(record)
                elif record != self.last:
                    raise AssertionError(f"{self.last!r} has become {record!r}")


def main(arguments: list[str]) -> int:
    """Read until standard input ends."""
    name, report = arguments
    reader = Reader(name)
    while not select.select([0], [], [], 0)[0]:
        try:
            reader.follow()
        except (logstore.NotRunning, logstore.Closed, logstore.SyncFailed):
            select.select([0], [], [], 0.02)  # the service is being restarted
        except (AssertionError, logstore.LogstoreError) as error:
            print(f"reader: {type(error).__name__}: {error}", file=sys.stderr)
            return 1
    Path(report).write_text(str(reader.count), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
