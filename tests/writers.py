"""The writer programs of a test: each a process that reports what it appends to the oracle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.oracle import Oracle
from tests.service import environment


@dataclass(slots=True)
class Writers:
    """The writer programs of one test."""

    oracle: Oracle
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(
        self, place: str | Path, *flags: str, environment_: Mapping[str, str] | None = None
    ) -> int:
        """Start a writer that attaches to the log at `place`; return its number."""
        writer = len(self.processes) + 1
        events = self.oracle.listen()
        where = place if isinstance(place, str) else f"{place}/"
        command = [sys.executable, "-P", "-m", "tests.programs.writer", where]
        command += ["--events", str(events), "--writer", str(writer), *flags]
        try:
            self.processes[writer] = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[events],
                env=environment(environment_),
            )
        finally:
            os.close(events)
        return writer

    def nursery(self, environment_: Mapping[str, str]) -> Nursery:
        """Start a process that runs writers as its children."""
        return Nursery(self, environment_)

    def pid(self, writer: int) -> int:
        """Return a writer's pid."""
        return self.processes[writer].pid

    def kill(self, *writers: int) -> None:
        """Kill writers, all if none is named."""
        chosen = [self.processes[number] for number in writers or self.processes]
        for process in chosen:
            process.kill()
        for process in chosen:
            process.wait()

    def stop(self, *writers: int, timeout_s: float = 30.0) -> None:
        """Tell writers, all that live if none is named, to stop; each must end without an error."""
        chosen = writers or [number for number, p in self.processes.items() if p.poll() is None]
        for number in chosen:
            self._hang_up(number)
        for number in chosen:
            self.expect(number, 0, timeout_s=timeout_s)

    def _hang_up(self, number: int) -> None:
        stdin = self.processes[number].stdin
        assert stdin is not None
        stdin.close()

    def expect(self, number: int, code: int, *, timeout_s: float = 60.0) -> str:
        """Wait for a writer's end with this exit code; return what it wrote to standard error."""
        process = self.processes[number]
        found = process.wait(timeout_s)
        assert process.stderr is not None
        said = process.stderr.read().decode()
        assert found == code, f"writer {number} ended with {found}, not {code}: {said}"
        return said

    def clean_up(self) -> None:
        """End all writers."""
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stderr):
                if stream is not None:
                    stream.close()


class Nursery:
    """A process that runs writers as its children, one after the other; a context manager."""

    def __init__(self, writers: Writers, environment_: Mapping[str, str]) -> None:
        self._events = writers.oracle.listen()
        self._count = 1000
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.programs.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[self._events],
            env=environment(environment_),
            text=True,
            bufsize=1,
        )
        os.close(self._events)

    def run(self, place: str, *flags: str, point: str = "") -> int:
        """Run a writer to its end, which may come at a fail point; return its exit code."""
        self._count += 1
        arguments = [place, "--events", str(self._events), "--writer", str(self._count)]
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([*arguments, *flags, point]), file=self._process.stdin)
        return int(self._process.stdout.readline())

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
