"""A peer with a server: Redis, records in a stream, append-only file."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final

_UP_S: Final = 10.0
_PAGE: Final = 10_000


class Redis:
    """A client on the server's Unix socket, which is `place`."""

    def __init__(self, place: str, *, durable: bool) -> None:
        self._base: Any = import_module("redis").Redis(unix_socket_path=place)
        self._durable = durable

    def put(self, payload: bytes) -> None:
        self._base.xadd("log", {"p": payload})

    def put_many(self, payloads: list[bytes]) -> None:
        pipe = self._base.pipeline(transaction=False)
        for payload in payloads:
            pipe.xadd("log", {"p": payload})
        pipe.execute()

    def finish(self) -> None:
        if not self._durable:
            # The next write is synced, and with it all of the file that lies before.
            self._base.config_set("appendfsync", "always")
            self._base.set("synced", "1")
            self._base.config_set("appendfsync", "no")

    def read(self) -> Iterator[bytes]:
        first = "-"
        while page := self._base.xrange("log", first, "+", count=_PAGE):
            yield from (fields[b"p"] for _, fields in page)
            first = f"({page[-1][0].decode()}"

    def close(self) -> None:
        self._base.close()


@contextmanager
def redis_server(base: Path, *, durable: bool) -> Iterator[str]:
    """Run a server in a new directory for the block; give its socket."""
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
    deadline = time.monotonic() + _UP_S
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
