"""Finding the log that a command's LOG means."""

from __future__ import annotations

from pathlib import Path

import logstore
from logstore.cli.files_alone import FilesAlone
from logstore.errors import NotRunning


def attach(log: str, *, read_only: bool = False) -> logstore.Log:
    """Attach to the running log of this name, or else to the one served from this directory.

    Raises:
        NotRunning: No service runs.
        NotFound: The directory holds no log.
    """
    try:
        return logstore.attach(log, read_only=read_only)
    except NotRunning:
        # A directory may serve a log of another name than its own.
        if "/" in log or not Path(log).is_dir():
            raise
        return logstore.attach(Path(log), read_only=read_only)


def open_to_read(log: str) -> logstore.Log | FilesAlone:
    """Attach to a running log for reading, or open its files if `log` is a directory.

    Raises:
        NotRunning: No service runs, and `log` is no directory.
        NotFound: There is no such log.
    """
    try:
        return attach(log, read_only=True)
    except NotRunning:
        if not Path(log).is_dir():
            raise
        return FilesAlone.open(Path(log))
