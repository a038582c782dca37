"""Append to many groups and checkpoint behind: `python -P -m tests.programs.lagging NAME`.

Each of several such processes appends to all groups in turn and lets the checkpoint of the group
that it has just appended to follow its newest record at a distance.
"""

from __future__ import annotations

import argparse
import sys

import logstore

BATCH = 50
LOOK_EVERY = 5  # batches of a group: its status takes longer than a batch


def main() -> int:
    """Append as many records as asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--groups", type=int, required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--lag", type=int, required=True)
    options = parser.parse_args()
    with logstore.attach(options.name) as log:
        groups = [log.group(f"group-{number}") for number in range(options.groups)]
        payloads = [b"x" * 64] * BATCH
        for turn in range(options.records // BATCH):
            number = turn % options.groups
            group = groups[number]
            group.append_many(payloads)
            if turn // options.groups % LOOK_EVERY == 0:
                up_to = group.status().appended - options.lag
                if up_to >= 1:
                    group.checkpoint(up_to=up_to)
        log.sync()
    return 0


if __name__ == "__main__":
    sys.exit(main())
