"""Run writers as forked children, one after the other: `python -P -m tests.programs.nursery`.

Reads one JSON list of the writer's arguments a line, from standard input; the last element is its
fail point, or "". Answers each with the child's exit code. A fork is much cheaper than a start.
"""

from __future__ import annotations

import json
import os
import sys

from tests.programs import writer


def main() -> int:
    """Serve until standard input ends."""
    for line in sys.stdin:
        *arguments, point = json.loads(line)
        child = os.fork()
        if child == 0:
            os.environ["LOGSTORE_FAIL_POINT"] = point
            os._exit(writer.main(arguments))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
