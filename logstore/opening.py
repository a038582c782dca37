"""Opening and attaching: how a program gets a `Log`."""

from __future__ import annotations

import os
from pathlib import Path

from logstore import service
from logstore.log import Log
from logstore.options import Options, Recovery


def open(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    ring_size: int | str | None = None,
    segment_size: int | str | None = None,
    sync_interval_s: float | None = None,
    retain_bytes: int | str | None = None,
    retain_age_s: float | None = None,
    mode: int | None = None,
    recovery: Recovery | None = None,
) -> Log:
    """Open the log in a directory: attach to its service, or start one, with the log if it is new.

    A service started here ends by itself a little after its last client. Settings matter only to
    the start of a service; see `Options` for what they mean and where else they can be given.

    Args:
        path: The data directory; made if missing. An existing one must be a log or empty.
        name: By which other processes attach; the directory's name if not given.
        ring_size: Bytes of shared memory, a power of two; sizes may be strings such as "32MiB".
        segment_size: Bytes after which a new segment file is begun.
        sync_interval_s: How long records wait for the disk when nobody waits for them.
        retain_bytes: Drop the oldest segments, needed or not, while the log has more; 0: never.
        retain_age_s: Drop segments whose records are all older, needed or not; 0: never. Neither
            drops what a reader, a cursor or an open transaction needs.
        mode: Permissions of files and shared memory: 0o600 (the owner alone), 0o640 (the group of
            the process that starts the service reads) or 0o660 (it appends as well). A data
            directory that is made now can be entered accordingly.
        recovery: What to do about damage. "strict" refuses, and names the place; "tail" accepts
            the loss of the log's end; "salvage" keeps everything that is sound. What is taken out
            goes to `quarantine/`; see `repair`.

    Raises:
        InUse: Another log has the name, or this one runs under another name.
        InvalidArgument: A setting or the name is not allowed, or the directory is no log's.
        SharedMemoryFull: /dev/shm has no room for the ring.
        Corruption, IncompatibleFormat, ReadFailed: The files cannot be used; nothing was changed.
        PermissionDenied: The directory or the running service belongs to another user.
    """
    place = Path(path).absolute()
    flags = {
        "ring_size": ring_size,
        "segment_size": segment_size,
        "sync_interval_s": sync_interval_s,
        "retain_bytes": retain_bytes,
        "retain_age_s": retain_age_s,
        "mode": mode,
        "recovery": recovery,
    }
    Options.load(place, **flags)  # a wrong setting is told here, not in the service's log
    return Log(service.open_client(place, name=name, flags=dict(flags)))


def attach(name_or_path: str | os.PathLike[str], *, read_only: bool = False) -> Log:
    """Attach to a running log by its name, or by its directory (a path object, or with a slash).

    Args:
        name_or_path: Which log.
        read_only: Map the region read-only: for users who may read but not write it.

    Raises:
        NotRunning: No such log runs.
        NotFound: The directory holds no log.
        PermissionDenied: It runs as another user.
        IncompatibleFormat: Its service is of another version.
    """
    if (
        isinstance(name_or_path, str)
        and "/" not in name_or_path
        and name_or_path not in ("", ".", "..")
    ):
        return Log(service.attach_name(name_or_path, read_only=read_only))
    place = Path(name_or_path).absolute()
    return Log(service.attach_directory(place, read_only=read_only))
