"""Follow a log and tell how long ago each record was appended: `NAME LEVEL COUNT`."""

from __future__ import annotations

import struct
import sys
import time

import logstore


def main(words: list[str]) -> int:
    """Follow a log, and tell how long ago each record was appended when it was seen."""
    name, level, count = words
    took: list[int] = []
    with logstore.attach(name) as log:
        print("ready", flush=True)
        start = log.watermarks().start
        for record in log.follow(start, durability=level):  # type: ignore[arg-type]
            took.append(time.monotonic_ns() - struct.unpack("<Q", record.payload)[0])
            if len(took) == int(count):
                break
    print(*took, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
