"""Where benchmarks work: a directory on a real disk, services in it, writers beside them."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.service import Service, environment

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a set of writers did together.

    Attributes:
        seconds: From the first one's beginning to the last one's end.
        cpu_ns: Their processor time.
        took_ns: How long each blocking append took, of all writers.
    """

    seconds: float
    cpu_ns: int
    took_ns: list[int]


class Place:
    """A temporary directory for one run of benchmarks."""

    def __init__(self, base: Path | None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="logstore-bench-", dir=base))

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

    def write(self, place: str, way: str, writers: int, *words: object) -> Ran:
        """Let so many writer processes work at once; see tools/bench/writer.py.

        Raises:
            ChildProcessError: One of them failed; its message is on standard error.
        """
        command = [sys.executable, "-P", "-m", "tools.bench.writer", way, place, *map(str, words)]
        processes = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), text=True
            )
            for _ in range(writers)
        ]
        try:
            return self._conduct(processes)
        finally:
            for process in processes:
                process.kill()
                process.wait()
                for stream in (process.stdin, process.stdout):
                    if stream is not None:
                        stream.close()

    @staticmethod
    def _conduct(processes: list[subprocess.Popen[str]]) -> Ran:
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise ChildProcessError("a writer did not come up")
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = []
        for process in processes:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise ChildProcessError("a writer failed")
            said.append(json.loads(line))
        began_ns = min(one["began_ns"] for one in said)
        ended_ns = max(one["ended_ns"] for one in said)
        took_ns = [took for one in said for took in one["took_ns"]]
        cpu_ns = sum(one["cpu_ns"] for one in said)
        return Ran((ended_ns - began_ns) / 1e9, cpu_ns, took_ns)

    def remove(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.path, ignore_errors=True)
