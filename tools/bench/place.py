"""Where benchmarks work: a directory on a real disk, services in it, writers beside them."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.service import Service, environment
from tools.bench.stores import missing, served

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a set of writers did together.

    Attributes:
        seconds: From the first one's beginning to the last one's end.
        cpu_ns: Their processor time.
        each_took: What each writer measured, such as how long each blocking append took.
    """

    seconds: float
    cpu_ns: int
    each_took: list[list[int]]

    @property
    def took_ns(self) -> list[int]:
        """What all writers measured."""
        return [took for one in self.each_took for took in one]


class Place:
    """A temporary directory for one run of benchmarks."""

    def __init__(self, base: Path | None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="logstore-bench-", dir=base))
        self._told: set[str] = set()

    def file(self) -> Path:
        """Return the path of a file that is not there."""
        return self.path / f"file-{next(_numbers)}"

    @contextmanager
    def service(self, **options: object) -> Iterator[Service]:
        """Run a service in a new directory for the block; the directory is removed afterwards."""
        path = self.path / f"bench-{os.getpid()}-{next(_numbers)}"
        service = Service(path, path.name, options)
        try:
            yield service.start()
            service.stop()
        finally:
            service.clean_up()
            shutil.rmtree(path, ignore_errors=True)

    @staticmethod
    def cpu_ns(service: Service) -> int:
        """Return the processor time that committer and syncer have used."""
        times = [psutil.Process(service.pid(role)).cpu_times() for role in ("committer", "syncer")]
        return round(sum(one.user + one.system for one in times) * 1e9)

    def present(self, kinds: Iterable[str]) -> list[str]:
        """Return the peers that are installed; say of the others that they are left out."""
        found = []
        for kind in kinds:
            reason = missing(kind)
            if reason is None:
                found.append(kind)
            elif kind not in self._told:
                self._told.add(kind)
                print(f"left out: {kind}: {reason}", file=sys.stderr, flush=True)
        return found

    @contextmanager
    def store(self, kind: str, *, durable: bool) -> Iterator[str]:
        """Give the place of a new store; it is removed afterwards."""
        if kind == "logstore":
            with self.service() as service:
                yield service.name
            return
        base = self.file()
        try:
            with served(kind, base, durable=durable) as where:
                yield where
        finally:
            for left in self.path.glob(f"{base.name}*"):
                if left.is_dir():
                    shutil.rmtree(left)
                else:
                    left.unlink()

    def write(
        self,
        kind: str,
        place: str,
        way: str,
        writers: int,
        *words: object,
        on_go: Callable[[], None] | None = None,
    ) -> Ran:
        """Let so many writer processes work at once; see tools/bench/writer.py.

        Args:
            kind: The store, with "+" behind it if it must be durable.
            place: Its name or path.
            way: How to write.
            writers: How many processes.
            words: Size of a record, amount, and an extra number.
            on_go: What to do once they have begun.

        Raises:
            ChildProcessError: One of them failed; its message is on standard error.
        """
        command = [sys.executable, "-P", "-m", "tools.bench.writer", way, kind, place]
        command += map(str, words)
        processes = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), text=True
            )
            for _ in range(writers)
        ]
        try:
            return self._conduct(processes, on_go)
        finally:
            for process in processes:
                process.kill()
                process.wait()
                for stream in (process.stdin, process.stdout):
                    if stream is not None:
                        stream.close()

    @staticmethod
    def _conduct(processes: list[subprocess.Popen[str]], on_go: Callable[[], None] | None) -> Ran:
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise ChildProcessError("a writer did not come up")
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        if on_go is not None:
            on_go()
        said = []
        for process in processes:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise ChildProcessError("a writer failed")
            said.append(json.loads(line))
        began_ns = min(one["began_ns"] for one in said)
        ended_ns = max(one["ended_ns"] for one in said)
        cpu_ns = sum(one["cpu_ns"] for one in said)
        each_took = [one["took_ns"] for one in said]
        return Ran((ended_ns - began_ns) / 1e9, cpu_ns, each_took)

    def remove(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.path, ignore_errors=True)
