"""What a service that failed has left: workers that do nothing, and clients that cannot go on."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from typing import Final

from logstore.errors import DiskFull, InUse, LogstoreError, SyncFailed
from logstore.ring._ring import LAYOUT, Ring
from logstore.ring.failure import failure
from logstore.ring.layout import COMMITTER, ROLES, SYNCER, client_offset, index_of
from logstore.ring.liveness import LockFile
from logstore.ring.process import start_ticks
from logstore.workers.role import NO_SPACE

ENDING_S: Final = 5.0


def end_workers(ring: Ring, lock: LockFile) -> None:
    """Kill the workers of a log that failed; they wait for a supervisor and do nothing.

    Raises:
        InUse: One does not end, or is out of sight.
    """
    for role in (COMMITTER, SYNCER):
        pid = ring.load(client_offset(role, "pid"))
        ticks = ring.load(client_offset(role, "start_ticks"))
        # What is gone has no pidfd.
        with contextlib.suppress(ProcessLookupError, OverflowError):
            if lock.held(role):
                _kill(pid, ticks)
        if lock.held(role):
            raise InUse(f"the {ROLES[role]} of a log that failed does not end", pid=pid)


def _kill(pid: int, ticks: int) -> None:
    pidfd = os.pidfd_open(pid)
    try:
        if start_ticks(pid) == ticks:  # else the pid is another process's by now
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            select.select([pidfd], [], [], ENDING_S)
    finally:
        os.close(pidfd)


def why_left(ring: Ring, left: int) -> LogstoreError:
    """Say why so many bytes of the ring cannot be written: no room, or a living client's record."""
    if ring.load(LAYOUT["blocked_lsn"]):
        index = index_of(ring.load(LAYOUT["blocked_owner"]))
        return InUse(
            "a client that is still attached does not finish its record: end it, and start again",
            pid=ring.load(client_offset(index, "pid")),
            lsn=ring.load(LAYOUT["blocked_lsn"]),
        )
    path, stage, number = failure(ring)
    kind = DiskFull if number in NO_SPACE else SyncFailed
    return kind(
        f"{left} bytes of acknowledged records are in shared memory and cannot be "
        f"written ({stage}: {os.strerror(number)}); mend that and start again",
        path=path,
        errno=number,
    )
