"""A party in a process of its own: `python -P -m tests.programs.party_process NAME`.

Reads calls from standard input and writes answers to standard output, both pickled.
"""

from __future__ import annotations

import pickle
import sys

from logstore import LogstoreError
from tests.programs.party import Party


def main(name: str) -> int:
    """Answer calls until the pipe is closed."""
    party = Party(name)
    calls, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            method, arguments, options = pickle.load(calls)
        except EOFError:
            party.detach()
            return 0
        try:
            answer: object = getattr(party, method)(*arguments, **options)
        except (LogstoreError, AssertionError) as error:
            answer = error
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
