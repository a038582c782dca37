"""Two processes that use one log: this one, and a second one over pipes."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar, cast

from tests.programs.party import Party
from tests.service import environment

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


class There:
    """A process of its own, started when it is first told to do something."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """Tell whether it was started and not ended."""
        return self._process is not None

    def do(
        self, method: Callable[Concatenate[Party, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Have the process call a method of its party."""
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(pickle.dumps((method.__name__, args, kwargs)))
        process.stdin.flush()
        answer = pickle.load(process.stdout)
        if isinstance(answer, BaseException):
            raise answer
        return cast(T, answer)

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.programs.party_process", self._name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
        )

    def kill(self) -> None:
        """Kill the process, if there is one; it has ended on return."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
