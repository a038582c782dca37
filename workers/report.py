"""Telling who started a supervisor that it is ready, or why not: one JSON line over a pipe."""

from __future__ import annotations

import contextlib
import json
import os

from logstore.errors import LogstoreError


def tell(fd: int, error: LogstoreError | None) -> None:
    """Report over the pipe of who started us: ready, or why not."""
    if fd < 0:
        return
    fields = {}
    if error is not None:
        fields = {
            "error": type(error).__name__,
            "message": error.message,
            "path": str(error.path) if error.path else None,
            "segment": error.segment,
            "offset": error.offset,
            "lsn": error.lsn,
            "errno": error.errno,
            "pid": error.pid,
        }
    with contextlib.suppress(OSError):
        os.write(fd, json.dumps(fields).encode() + b"\n")
        os.close(fd)
