"""Consume a log through a durable cursor, and print the payload of each record that is done with.

`python -m tests.programs.consumer LOG CURSOR` ends when standard input does.
"""

from __future__ import annotations

import argparse
import select
import sys

import logstore


def main() -> None:
    """Consume until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("log")
    parser.add_argument("cursor")
    options = parser.parse_args()
    with logstore.attach(options.log) as log, log.cursor(options.cursor, durability="ring") as own:
        print("open", flush=True)
        while not select.select([sys.stdin], [], [], 0)[0]:
            for record in own.records(timeout=0.02):
                print(bytes(record.payload).decode(), flush=True)
                own.advance(record)


if __name__ == "__main__":
    main()
