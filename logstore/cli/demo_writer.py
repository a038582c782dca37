"""One writer of the demo: `python -m logstore.cli.demo_writer DIRECTORY NUMBER LINES`.

Standard output is a pipe to the demo: one `Ack` for each append that has become durable, written
right then, so that a SIGKILL takes away none that was given.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple, Self

import logstore
from logstore.cli.demo_lines import writers
from logstore.cli.input_records import batches_of

_ACK: Final = struct.Struct("<IQQQ")


class Ack(NamedTuple):
    """Tell that all lines up to a number are durable.

    Attributes:
        line_count: How many of the writer's lines are durable.
        lsn: Position of the last one's record.
        began_ns: When the append was called, on the clock that all processes share.
        ended_ns: When it returned.
    """

    line_count: int
    lsn: int
    began_ns: int
    ended_ns: int

    def encode(self) -> bytes:
        """Return the bytes that go through the pipe."""
        return _ACK.pack(*self)

    @classmethod
    def take_from(cls, buffer: bytearray) -> list[Self]:
        """Remove the whole acks at the start of a buffer and return them."""
        whole = len(buffer) // _ACK.size * _ACK.size
        acks = [cls(*fields) for fields in _ACK.iter_unpack(bytes(buffer[:whole]))]
        del buffer[:whole]
        return acks


def main(directory: str, number: str, line_count: str) -> None:
    """Append this writer's lines and tell of each durable append."""
    writer = writers(int(line_count))[int(number)]
    done = 0
    with logstore.attach(Path(directory)) as log:
        for batch in batches_of(writer.records(), writer.batch):
            began_ns = time.monotonic_ns()
            if writer.batch == 1:
                lsn = log.append(batch[0], durability="synced")
            else:
                lsn = log.append_many(batch, durability="synced")[-1]
            done += len(batch)
            ack = Ack(done, lsn, began_ns, time.monotonic_ns())
            os.write(sys.stdout.fileno(), ack.encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
