"""What is measured: this log, and its peers in their best honest setting.

`durable` means the same for all: when `put` or `put_many` returns, the record survives power loss.
Without it, each promises what it promises by itself when it is told not to sync: that it survives
the death of its process. `finish` makes durable what was put, in every store.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from tools.bench.stores.face import Store
from tools.bench.stores.own import Logstore, Raw
from tools.bench.stores.server import Redis, redis_server
from tools.bench.stores.sql import Diskcache, Sqlite
from tools.bench.stores.trees import Lmdb, Rocks

__all__ = ["MANY_PROCESSES", "PEERS", "STORES", "Logstore", "Store", "missing", "served"]

STORES: Final[dict[str, type[Any]]] = {
    "logstore": Logstore,
    "raw": Raw,
    "sqlite": Sqlite,
    "lmdb": Lmdb,
    "rocksdict": Rocks,
    "redis": Redis,
    "diskcache": Diskcache,
}
PEERS: Final = tuple(kind for kind in STORES if kind != "logstore")
MANY_PROCESSES: Final = tuple(kind for kind in PEERS if kind != "rocksdict")
"""The peers that several processes may use at once."""


def missing(kind: str) -> str | None:
    """Say what is not installed of a peer; None if it can be measured."""
    if kind in ("lmdb", "rocksdict", "redis", "diskcache") and find_spec(kind) is None:
        return f"the Python package {kind} is not installed (pip install '.[bench]')"
    if kind == "redis" and shutil.which("redis-server") is None:
        return "redis-server is not installed (apt-get install redis-server)"
    return None


@contextmanager
def served(kind: str, base: Path, *, durable: bool) -> Iterator[str]:
    """Give the place of a new store of this kind, with its server if it needs one."""
    if kind == "redis":
        with redis_server(base, durable=durable) as place:
            yield place
    else:
        yield str(base)
