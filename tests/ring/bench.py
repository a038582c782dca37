"""A real region without a service: the test itself plays the committer, step by step."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import posix_ipc

from logstore.format import Kind
from logstore.frames import Record, scan
from logstore.lsn import FIRST_LSN
from logstore.ring import region
from logstore.ring._ring import LAYOUT, Ring
from logstore.ring.client import Client
from logstore.ring.layout import COMMITTER, SUPERVISOR, Level, State, Stop
from logstore.ring.liveness import LockFile
from logstore.ring.repair import Liveness
from tests.service import until

RING = 1 << 16
SALT = 0x5EED5A17
RECORDS = 1 << Kind.DATA
FUTEX_WAITV = "449"  # on every architecture


def identity_of(path: Path, **changes: object) -> region.Identity:
    """Return the identity of a small region for a directory; `changes` replace fields."""
    fields: dict[str, object] = {
        "uuid": bytes(range(16)),
        "boot_id": region.boot_id(),
        "epoch": 1,
        "salt": SALT,
        "ring_size": RING,
        "segment_size": 1 << 20,
        "sync_interval_ns": 10_000_000,
        "created_ns": 0,
        "mode": 0o600,
        "name": path.name,
        "directory": path,
        **changes,
    }
    return region.Identity(**fields)  # type: ignore[arg-type]


@dataclass
class Bench:
    """A region that takes appends, and a committer that moves when the test says so."""

    path: Path
    head_lsn: int = FIRST_LSN
    clients: list[Client] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.path.mkdir(exist_ok=True)
        self.watcher = LockFile(self.path, mode=0o600)
        identity = identity_of(self.path)
        region.create(identity, start_lsn=FIRST_LSN, head_lsn=self.head_lsn)
        self.supervisor = self.attach(role=SUPERVISOR)  # or clients would find nobody serving
        self.committer = self.attach(role=COMMITTER)
        self.committer.ring.set_state(State.RUNNING)
        self.liveness = Liveness(self.ring, self.path)

    @property
    def ring(self) -> Ring:
        """The committer's mapping, for words and watermarks."""
        return self.committer.ring

    def attach(self, *, role: int | None = None, read_only: bool = False) -> Client:
        """Attach one more client."""
        client = Client(self.path.name, role=role, read_only=read_only)
        self.clients.append(client)
        return client

    def load(self, name: str) -> int:
        """Return a word of the header."""
        return self.ring.load(LAYOUT[name])

    def drain(self, most: int = RING) -> list[Record]:
        """Do what the committer does, without a file: return the records, and free their room."""
        written = self.load("written")
        to, _, _, _ = self.ring.walk(written, most, True)
        start = written & (RING - 1)
        with memoryview(self.ring) as view:
            frames = bytes(view[start : start + to - written])
        records, end, _ = scan(frames, written, SALT, to, ["default"], kinds=RECORDS)
        assert end == to
        self.ring.advance(Level.RING, to)
        self.ring.advance(Level.WRITTEN, to)
        self.ring.advance(Level.SYNCED, to)
        return records

    def stop(self) -> Stop:
        """Say why the committer's walk ends where it does."""
        return Stop(self.ring.walk(self.load("written"), RING, True)[1])

    def abort_dead(self) -> None:
        """Turn the in-flight frame that stops the committer into an abort frame."""
        _, stop, at, owner = self.ring.walk(self.load("written"), RING, True)
        assert stop == Stop.BLOCKED
        assert not self.committer.alive(owner)
        assert self.ring.abort_dead(at, owner)

    def tokens(self) -> int:
        """Return the value of the guard's semaphore."""
        semaphore = posix_ipc.Semaphore(region.shared_name(self.path.name))
        try:
            return semaphore.value
        finally:
            semaphore.close()

    def set_tokens(self, wanted: int) -> None:
        """Give the guard's semaphore another value, as deaths and repairs may."""
        semaphore = posix_ipc.Semaphore(region.shared_name(self.path.name))
        try:
            while semaphore.value > wanted:
                semaphore.acquire(0)
            while semaphore.value < wanted:
                semaphore.release()
        finally:
            semaphore.close()

    def enter_guard(self, client: Client) -> None:
        """Put a client inside the guard, as if it had stopped there."""
        self.set_tokens(0)
        self.ring.store(LAYOUT["owner"], client.ring.token)

    def leave_guard(self) -> None:
        """Let the guard go."""
        self.ring.store(LAYOUT["owner"], 0)
        self.set_tokens(1)

    def at_rest(self) -> bool:
        """Tell whether nobody is in the guard and its token is there."""
        return self.load("owner") == 0 and self.tokens() == 1

    def close(self) -> None:
        """Take everything down."""
        self.liveness.close()
        for client in self.clients:
            client.close()
        self.watcher.close()
        region.unlink(self.path.name)


def _asleep_in_futex(thread_id: int) -> bool:
    path = Path(f"/proc/self/task/{thread_id}/syscall")
    numbers = {"x86_64": "202", "aarch64": "98"}
    return path.read_text().split(" ", 1)[0] in (numbers[os.uname().machine], FUTEX_WAITV)


@contextmanager
def interrupted() -> Iterator[None]:
    """Send this process Ctrl-C once its main thread sleeps, and expect it to notice at once."""
    main = threading.main_thread().native_id
    assert main is not None
    sent: list[float] = []

    def strike() -> None:
        # Asleep ten times in a row: a mere wait for the interpreter's lock ends sooner.
        for _ in range(10):
            until(lambda: _asleep_in_futex(main), "the main thread sleeps")
            time.sleep(0.005)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    # Who is started in the background of a shell ignores Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=strike)
    thread.start()
    try:
        yield
    except KeyboardInterrupt:
        late_s = time.monotonic() - sent[0]
        assert late_s < 0.12, f"Ctrl-C was noticed after {late_s} s"
        return
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)
    raise AssertionError("the call ended without noticing Ctrl-C")
