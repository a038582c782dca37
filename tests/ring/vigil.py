"""A bench with a file: what the workers do without Python is done to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from logstore.format import SEGMENT_HEADER_SIZE
from logstore.lsn import FIRST_LSN
from logstore.ring.client import Client
from logstore.ring.layout import Level, Mode, State
from tests.ring.bench import Bench

ORIGIN: Final = FIRST_LSN - SEGMENT_HEADER_SIZE
END: Final = FIRST_LSN + (1 << 20)
QUICK_NS: Final = 100_000
SLOW_NS: Final = 10_000_000
SLEEP_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Vigil:
    """A bench whose one segment is a file, and whose disk has been quick so far."""

    bench: Bench
    client: Client
    path: Path
    fd: int

    def demand(self, size: int = 100) -> int:
        """Append a record whose writer waits for the disk; return its LSN."""
        lsn = self.client.ring.append(bytes([7]) * size)
        assert not self.client.ring.poll(Level.SYNCED, lsn, 0.0)
        return lsn

    def write(self, *, fd: int | None = None, end: int = END, at: int | None = None) -> bool:
        """Keep the committer's vigil."""
        stopped_at = self.bench.load("written") if at is None else at
        where = self.fd if fd is None else fd
        return self.bench.ring.keep_writing(stopped_at, State.RUNNING, where, ORIGIN, end)

    def sleep(self, *, fd: int | None = None, mode: Mode = Mode.SLEEPING) -> None:
        """Let the committer sleep, as if it had found nothing."""
        where = self.fd if fd is None else fd
        at = self.bench.load("written")
        self.bench.ring.committer_idle(mode, at, State.RUNNING, SLEEP_S, where, ORIGIN, END)

    def sync(self, *, fd: int | None = None, segments: int = 1) -> bool:
        """Keep the syncer's vigil."""
        where = self.fd if fd is None else fd
        return self.bench.ring.keep_syncing(State.RUNNING, where, segments)

    def sleep_and_sync(
        self,
        *,
        fd: int | None = None,
        segments: int = 1,
        mode: Mode = Mode.SLEEPING,
        timeout_s: float = SLEEP_S,
    ) -> bool:
        """Let the syncer sleep, as if it had found nothing."""
        where = self.fd if fd is None else fd
        return self.bench.ring.syncer_idle(mode, State.RUNNING, timeout_s, where, segments)

    def most_of_one_call(
        self, count: str, call: Callable[[], object], turn: Callable[[], None]
    ) -> int:
        """Call again and again while the test takes turns; return the most that one call counted.

        Ends once that is three.
        """
        ended = threading.Event()
        most = 0

        def work() -> None:
            nonlocal most
            while not ended.is_set():
                before = self.bench.load(count)
                call()
                most = max(most, self.bench.load(count) - before)

        thread = threading.Thread(target=work)
        thread.start()
        deadline = time.monotonic() + 20
        while most < 3 and time.monotonic() < deadline:
            turn()
        ended.set()
        thread.join()
        return most

    def in_file(self, lsn: int, size: int) -> bytes:
        """Return what the segment has from an LSN on."""
        return self.path.read_bytes()[lsn - ORIGIN :][:size]

    def in_ring(self, lsn: int, size: int) -> bytes:
        """Return what the ring has from an LSN on."""
        start = lsn & (self.bench.ring.capacity - 1)
        with memoryview(self.bench.ring) as view:
            return bytes(view[start : start + size])

    def marks(self) -> tuple[int, int, int]:
        """Return published, written, synced."""
        return (self.bench.load("published"), self.bench.load("written"), self.bench.load("synced"))
