"""What is measured, behind one small face: this log, and its peers in their best honest setting.

`durable` means the same for all: when `put` or `finish` returns, the record survives power loss.
Without it, each promises what it promises by itself when it is told not to sync.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

import logstore

_REDIS_UP_S: Final = 10.0


class Store(Protocol):
    """One process's way to one store."""

    def put(self, payload: bytes) -> None:
        """Add a record."""

    def put_many(self, payloads: list[bytes]) -> None:
        """Add records at once, in one transaction where the store has such."""

    def finish(self) -> None:
        """Make everything durable, as far as the store can."""

    def close(self) -> None:
        """Leave it."""


class Logstore:
    """This log, attached by name."""

    def __init__(self, place: str, *, durable: bool) -> None:
        self.log = logstore.attach(place)
        self._level: logstore.Durability = "synced" if durable else "ring"

    def put(self, payload: bytes) -> None:
        self.log.append(payload, durability=self._level)

    def put_many(self, payloads: list[bytes]) -> None:
        self.log.append_many(payloads, durability=self._level)

    def finish(self) -> None:
        self.log.sync()

    def close(self) -> None:
        self.log.close()


class Raw:
    """One preallocated file for each process, pwrite, and fdatasync."""

    def __init__(self, place: str, *, durable: bool) -> None:
        self._fd = os.open(f"{place}.{os.getpid()}", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.posix_fallocate(self._fd, 0, 64 << 20)
        os.fsync(self._fd)
        self._durable = durable
        self._offset = 0

    def put(self, payload: bytes) -> None:
        self._offset += os.pwrite(self._fd, payload, self._offset)
        if self._durable:
            os.fdatasync(self._fd)

    def put_many(self, payloads: list[bytes]) -> None:
        self.put(b"".join(payloads))

    def finish(self) -> None:
        os.fdatasync(self._fd)

    def close(self) -> None:
        os.close(self._fd)


class Sqlite:
    """A table in WAL mode; synchronous FULL is durable at each commit, NORMAL is not."""

    def __init__(self, place: str, *, durable: bool) -> None:
        self._base = sqlite3.connect(place, isolation_level=None, timeout=120.0)
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        self._base.execute("CREATE TABLE IF NOT EXISTS log (n INTEGER PRIMARY KEY, payload BLOB)")

    def put(self, payload: bytes) -> None:
        self._base.execute("INSERT INTO log (payload) VALUES (?)", (payload,))

    def put_many(self, payloads: list[bytes]) -> None:
        self._base.execute("BEGIN IMMEDIATE")
        self._base.executemany("INSERT INTO log (payload) VALUES (?)", zip(payloads, strict=True))
        self._base.execute("COMMIT")

    def finish(self) -> None:
        self._base.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        self._base.close()


class Lmdb:
    """A B+tree in a memory map; each put is a transaction."""

    def __init__(self, place: str, *, durable: bool) -> None:
        lmdb = import_module("lmdb")

        self._base: Any = lmdb.open(
            place, subdir=False, map_size=4 << 30, sync=durable, metasync=durable, max_readers=512
        )
        self._own = os.getpid().to_bytes(4, "big")
        self._numbers = itertools.count()

    def _key(self) -> bytes:
        return self._own + next(self._numbers).to_bytes(8, "big")

    def put(self, payload: bytes) -> None:
        with self._base.begin(write=True) as transaction:
            transaction.put(self._key(), payload, append=False)

    def put_many(self, payloads: list[bytes]) -> None:
        with self._base.begin(write=True) as transaction:
            for payload in payloads:
                transaction.put(self._key(), payload)

    def finish(self) -> None:
        self._base.sync(True)

    def close(self) -> None:
        self._base.close()


class Rocks:
    """RocksDB with its write-ahead log; one process only, as it is made."""

    def __init__(self, place: str, *, durable: bool) -> None:
        rocksdict = import_module("rocksdict")

        options = rocksdict.Options(raw_mode=True)
        self._base: Any = rocksdict.Rdict(place, options)
        self._batch: Any = rocksdict.WriteBatch
        write = rocksdict.WriteOptions()
        write.sync = durable
        self._base.set_write_options(write)
        self._numbers = itertools.count()

    def put(self, payload: bytes) -> None:
        self._base[next(self._numbers).to_bytes(8, "big")] = payload

    def put_many(self, payloads: list[bytes]) -> None:
        batch = self._batch(raw_mode=True)
        for payload in payloads:
            batch.put(next(self._numbers).to_bytes(8, "big"), payload)
        self._base.write(batch)

    def finish(self) -> None:
        self._base.flush_wal(sync=True)

    def close(self) -> None:
        self._base.close()


class Redis:
    """Records in a stream of a server with its append-only file; `place` is its socket."""

    def __init__(self, place: str, *, durable: bool) -> None:
        redis = import_module("redis")

        self._base: Any = redis.Redis(unix_socket_path=place)
        self._durable = durable

    def put(self, payload: bytes) -> None:
        self._base.xadd("log", {"p": payload})

    def put_many(self, payloads: list[bytes]) -> None:
        pipe = self._base.pipeline(transaction=False)
        for payload in payloads:
            pipe.xadd("log", {"p": payload})
        pipe.execute()

    def finish(self) -> None:
        self._base.ping()

    def close(self) -> None:
        self._base.close()


class Diskcache:
    """A cache on SQLite; durable with synchronous FULL."""

    def __init__(self, place: str, *, durable: bool) -> None:
        diskcache = import_module("diskcache")

        level = 2 if durable else 1
        self._base: Any = diskcache.Cache(
            place, sqlite_synchronous=level, eviction_policy="none", timeout=120
        )
        self._own = os.getpid()
        self._numbers = itertools.count()

    def put(self, payload: bytes) -> None:
        self._base.set((self._own, next(self._numbers)), payload)

    def put_many(self, payloads: list[bytes]) -> None:
        with self._base.transact():
            for payload in payloads:
                self.put(payload)

    def finish(self) -> None:
        """Nothing more can be asked of it."""

    def close(self) -> None:
        self._base.close()


STORES: Final[dict[str, type[Any]]] = {
    "logstore": Logstore,
    "raw": Raw,
    "sqlite": Sqlite,
    "lmdb": Lmdb,
    "rocksdict": Rocks,
    "redis": Redis,
    "diskcache": Diskcache,
}
MANY_PROCESSES: Final = ("raw", "sqlite", "lmdb", "redis", "diskcache")
"""The peers that several processes may use at once."""


def missing(kind: str) -> str | None:
    """Say what is not installed of a peer; None if it can be measured."""
    if kind in ("lmdb", "rocksdict", "redis", "diskcache") and find_spec(kind) is None:
        return f"the Python package {kind} is not installed"
    if kind == "redis" and shutil.which("redis-server") is None:
        return "redis-server is not installed"
    return None


@contextmanager
def served(kind: str, base: Path, *, durable: bool) -> Iterator[str]:
    """Give the place of a new store of this kind, with its server if it needs one."""
    if kind != "redis":
        yield str(base)
        return
    base.mkdir()
    place = base / "socket"
    words = ["redis-server", "--port", "0", "--unixsocket", str(place), "--dir", str(base)]
    words += ["--appendonly", "yes", "--appendfsync", "always" if durable else "no", "--save", ""]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        _await_socket(place)
        yield str(place)
    finally:
        server.terminate()
        server.wait()


def _await_socket(place: Path) -> None:
    deadline = time.monotonic() + _REDIS_UP_S
    while True:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(place))
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return
