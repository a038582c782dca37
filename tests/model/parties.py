"""Two processes that use one log: this one, and a second one over pipes."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Concatenate, ParamSpec, Protocol, TypeVar, cast

from tests.programs.party import Party
from tests.service import environment, kill

P = ParamSpec("P")
T = TypeVar("T")


class Doer(Protocol):
    """Somebody who can be told to call a method of a `Party`."""

    def do(
        self, method: Callable[Concatenate[Party, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call it; return or raise what it returns or raises."""
        ...


class Here:
    """This process."""

    def __init__(self, name: str) -> None:
        self.party = Party(name)

    def do(
        self, method: Callable[Concatenate[Party, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call a method of the party."""
        return method(self.party, *args, **kwargs)


class Nursery:
    """The process that forks second processes."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tests.programs.party_process"],
                stdin=theirs.fileno(),
                env=environment(),
            )

    def fork(self, name: str, calls_fd: int, answers_fd: int) -> int:
        """Start a party for a log; return its pid."""
        socket.send_fds(self._channel, [name.encode()], [calls_fd, answers_fd])
        return int(self._channel.recv(32))

    def close(self) -> None:
        """End the process."""
        self._channel.close()
        self._process.wait(10.0)


@dataclass(slots=True)
class _Child:
    """A second process, and the ends of its pipes."""

    pid: int
    calls: BinaryIO
    answers: BinaryIO


class There:
    """A process of its own, started when it is first told to do something."""

    def __init__(self, name: str, nursery: Nursery | None = None) -> None:
        self._name = name
        self._nursery = nursery
        self._own: Nursery | None = None
        self._child: _Child | None = None

    @property
    def alive(self) -> bool:
        """Tell whether it was started and not ended."""
        return self._child is not None

    def do(
        self, method: Callable[Concatenate[Party, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Have the process call a method of its party."""
        child = self._child = self._child or self._start()
        child.calls.write(pickle.dumps((method.__name__, args, kwargs)))
        child.calls.flush()
        answer = pickle.load(child.answers)
        if isinstance(answer, BaseException):
            raise answer
        return cast(T, answer)

    def _start(self) -> _Child:
        nursery = self._nursery or self._own or Nursery()
        if nursery is not self._nursery:
            self._own = nursery
        (theirs_in, calls), (answers, theirs_out) = os.pipe(), os.pipe()
        try:
            pid = nursery.fork(self._name, theirs_in, theirs_out)
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        return _Child(pid, open(calls, "wb"), open(answers, "rb"))

    def kill(self) -> None:
        """Kill the process, if there is one; it has ended on return."""
        child, self._child = self._child, None
        if child is not None:
            kill(child.pid)
            child.calls.close()
            child.answers.close()
        if self._own is not None:
            self._own.close()
            self._own = None
