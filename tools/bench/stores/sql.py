"""Peers on SQLite: the database itself, and diskcache."""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

_BUSY_S: Final = 120.0
_CHECKPOINT_PAGES: Final = 10_000  # ten times the default: quicker in every workload here


def checkpoint(base: sqlite3.Connection) -> None:
    """Make what was committed without a sync durable: a checkpoint syncs the log first."""
    while base.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[0]:
        pass  # another process is at it


class Sqlite:
    """A table in WAL mode; synchronous FULL is durable at each commit, NORMAL is not."""

    def __init__(self, place: str, *, durable: bool) -> None:
        self._base = sqlite3.connect(place, isolation_level=None, timeout=_BUSY_S)
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        self._base.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        self._base.execute("CREATE TABLE IF NOT EXISTS log (n INTEGER PRIMARY KEY, payload BLOB)")

    def put(self, payload: bytes) -> None:
        self._base.execute("INSERT INTO log (payload) VALUES (?)", (payload,))

    def put_many(self, payloads: list[bytes]) -> None:
        self._base.execute("BEGIN IMMEDIATE")
        self._base.executemany("INSERT INTO log (payload) VALUES (?)", zip(payloads, strict=True))
        self._base.execute("COMMIT")

    def finish(self) -> None:
        checkpoint(self._base)

    def read(self) -> Iterator[bytes]:
        return (row[0] for row in self._base.execute("SELECT payload FROM log ORDER BY n"))

    def close(self) -> None:
        self._base.close()


class Diskcache:
    """A cache in SQLite, nothing evicted; durable with synchronous FULL."""

    def __init__(self, place: str, *, durable: bool) -> None:
        self._place = Path(place)
        self._base: Any = import_module("diskcache").Cache(
            place,
            sqlite_synchronous=2 if durable else 1,
            eviction_policy="none",
            timeout=_BUSY_S,
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
        base = sqlite3.connect(self._place / "cache.db", timeout=_BUSY_S)
        checkpoint(base)
        base.close()

    def read(self) -> Iterator[bytes]:
        return (self._base[key] for key in self._base)

    def close(self) -> None:
        self._base.close()
