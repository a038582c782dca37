"""Embedded key-value peers: LMDB and RocksDB."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

_LMDB_MAP: Final = 4 << 30


class Lmdb:
    """A B+tree in a memory map; each put is a transaction."""

    def __init__(self, place: str, *, durable: bool) -> None:
        self._base: Any = import_module("lmdb").open(
            place,
            subdir=False,
            map_size=_LMDB_MAP,
            sync=durable,
            metasync=durable,
            writemap=True,  # quicker with syncs and without
            max_readers=512,
        )
        self._own = os.getpid().to_bytes(4, "big")
        self._numbers = itertools.count()

    def _key(self) -> bytes:
        return self._own + next(self._numbers).to_bytes(8, "big")

    def put(self, payload: bytes) -> None:
        with self._base.begin(write=True) as transaction:
            transaction.put(self._key(), payload)

    def put_many(self, payloads: list[bytes]) -> None:
        with self._base.begin(write=True) as transaction:
            for payload in payloads:
                transaction.put(self._key(), payload)

    def finish(self) -> None:
        self._base.sync(True)

    def read(self) -> Iterator[bytes]:
        with self._base.begin() as transaction, transaction.cursor() as cursor:
            yield from cursor.iternext(keys=False, values=True)

    def close(self) -> None:
        self._base.close()


class Rocks:
    """RocksDB with its write-ahead log; one process only, as it is made."""

    def __init__(self, place: str, *, durable: bool) -> None:
        rocksdict = import_module("rocksdict")

        options = rocksdict.Options(raw_mode=True)
        options.set_recycle_log_file_num(4)  # a log that does not grow is synced sooner
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

    def read(self) -> Iterator[bytes]:
        values: Iterator[bytes] = self._base.values()
        return values

    def close(self) -> None:
        self._base.close()
