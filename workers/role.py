"""What committer and syncer have in common: finding their log, failing, noticing the end."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from logstore.disk_errors import reading
from logstore.errors import DiskFull, LogstoreError, NotRunning
from logstore.files import Directory
from logstore.ring._ring import LAYOUT, Ring
from logstore.ring.client import Client
from logstore.ring.layout import COMMITTER, FIRST_CLIENT, SUPERVISOR, SYNCER, State
from logstore.ring.soundness import complaint
from logstore.segments import manifest

ORPHAN_CHECK_S: Final = 1.0
RETRY_S: Final = 0.1
NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

logger = logging.getLogger("logstore.worker")


class Worker(Protocol):
    """A role as a sequence of steps, so that a test can run several under one scheduler."""

    def step(self) -> bool:
        """Do one piece of work if there is any; tell whether there was."""

    def idle(self) -> None:
        """Sleep until there may be work."""

    def finished(self) -> bool:
        """Tell whether this worker is done for good."""

    def close(self) -> None:
        """Give everything back."""


def attach(path: Path, role: int) -> Client:
    """Attach to the log that is served from a directory, in a role.

    Raises:
        NotRunning: The directory holds no log, or none is running.
        InUse: Another process has the role.
    """
    with Directory.open(path, create=False) as directory:
        found = manifest.load(directory)
    if found is None:
        raise NotRunning("there is no log in this directory", path=path)
    return Client(found.name, role=role)


def enter(path: Path, role: int, make: Callable[[Client], Worker]) -> Worker:
    """Attach to a log in a role, and make the worker.

    Raises:
        LogstoreError: It could not be made, and if the log was found, it has failed by that.
    """
    with reading("the log"):
        client = attach(path, role)
    try:
        with reading("the log"):
            return make(client)
    except LogstoreError as error:
        fail(client.ring, "start of a worker", error, path)
        client.close()
        raise


def fail(ring: Ring, stage: str, error: OSError | LogstoreError, place: Path) -> None:
    """Make the log FAILED for the rest of its epoch; the first failure stays."""
    if ring.load(LAYOUT["state"]) != State.FAILED:
        describe(ring, stage, error, place)
        ring.set_state(State.FAILED)


def describe(ring: Ring, stage: str, error: OSError | LogstoreError, place: Path) -> None:
    """Record in the region what went wrong, for clients to report."""
    where = error.filename if isinstance(error, OSError) else error.path
    text = os.fsencode(str(where or place))[: LAYOUT["failure_path.size"] - 1] + b"\0"
    ring.write_header(LAYOUT["failure_path"], text)
    ring.write_header(LAYOUT["failure_stage"], stage.encode()[:31] + b"\0")
    ring.store(LAYOUT["failure_errno"], error.errno or errno.EIO)


def sound(client: Client) -> bool:
    """Tell whether the region's words can all be true; if they cannot, the log has failed."""
    if client.ring.sound():
        return True
    wrong = complaint(client.ring)
    if wrong:
        logger.error("the shared memory is damaged: %s", wrong)
        damage = OSError(errno.EBADMSG, wrong)
        fail(client.ring, "the check of the shared memory", damage, client.identity.directory)
    return not wrong


def out_of_space(error: OSError | LogstoreError) -> bool:
    """Tell whether more room on the disk would mend it."""
    return isinstance(error, DiskFull) or error.errno in NO_SPACE


class Orphanage:
    """Notice, now and then, that the supervisor is gone and nobody needs this worker any more."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._next_check_s = 0.0

    def abandoned(self) -> bool:
        """Tell whether the worker should leave: no supervisor, and no client, all bytes durable."""
        now = time.monotonic()
        if now < self._next_check_s:
            return False
        self._next_check_s = now + ORPHAN_CHECK_S
        ring = self._client.ring
        if self._client.held(SUPERVISOR):
            return False
        if self._client.state in (State.CLOSED, State.FAILED):
            return True
        clients = self._client.any_held(FIRST_CLIENT)
        return not clients and ring.load(LAYOUT["synced"]) == ring.load(LAYOUT["head"])


def run(worker: Worker) -> None:
    """Step and sleep until the worker is finished."""
    try:
        while True:
            # First the work: whoever woke us waits for it.
            if worker.step():
                continue
            if worker.finished():
                return
            worker.idle()
    finally:
        worker.close()


def main(role: int, make: Callable[[Client], Worker], argv: list[str]) -> int:
    """Run a worker as a process: `python -m logstore.workers.<role> DIR`."""
    name = {COMMITTER: "committer", SYNCER: "syncer"}[role]
    if len(argv) != 1:
        print(
            f"usage: python -m logstore.workers.{name} DIR (started by the supervisor)",
            file=sys.stderr,
        )
        return 2
    # The end of a worker is told through the region's state; signals meant for the whole group
    # (Ctrl-C, a service manager's stop) must not kill it before the ring is drained.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        run(enter(Path(argv[0]), role, make))
    except LogstoreError as error:
        print(f"logstore {name}: {error}", file=sys.stderr)
        return 1
    return 0
