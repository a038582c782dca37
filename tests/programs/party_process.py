"""Parties in processes of their own, forked one after the other: a fork is cheaper than a start.

`python -P -m tests.programs.party_process` takes a log's name and two descriptors, over the socket
that is its standard input, for each party, and answers with the party's pid. The party reads calls
from the first and writes answers to the second, both pickled.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys

from logstore import LogstoreError
from tests.programs.party import Party

NAME_SIZE = 256


def main() -> int:
    """Fork a party for each message until the socket is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    with socket.socket(fileno=sys.stdin.fileno()) as channel:
        while True:
            name, descriptors, _, _ = socket.recv_fds(channel, NAME_SIZE, 2)
            if not name:
                return 0
            child = os.fork()
            if child == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                channel.close()
                os._exit(serve(name.decode(), *descriptors))
            for descriptor in descriptors:
                os.close(descriptor)
            channel.sendall(str(child).encode())


def serve(name: str, calls_fd: int, answers_fd: int) -> int:
    """Answer calls until there are no more."""
    party = Party(name)
    with open(calls_fd, "rb") as calls, open(answers_fd, "wb") as answers:
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
    sys.exit(main())
