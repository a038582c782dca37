"""Salvage: what a service that was killed left in its ring goes to the files."""

from __future__ import annotations

from contextlib import suppress

from logstore.disk_errors import writing
from logstore.errors import Corruption
from logstore.files import Directory
from logstore.ring import region
from logstore.ring._ring import LAYOUT, Ring
from logstore.ring.client import Client
from logstore.ring.layout import COMMITTER, SUPERVISOR, State
from logstore.ring.liveness import LockFile
from logstore.segments import manifest as manifests
from logstore.segments.renewal import renew_unsealed
from logstore.segments.rewrite import rewrite
from logstore.workers.aftermath import end_workers, why_left
from logstore.workers.committer import Committer


def salvage(
    directory: Directory, name: str, attached: tuple[Ring, region.Identity], lock: LockFile
) -> int:
    """Drain what a service that was killed left in its ring, as its committer would have.

    Every owner is dead, so frames in flight become abort frames. Returns the end of the log.
    """
    ring, identity = attached
    # An entry of our own: a frame or a guard that the dead supervisor owned is not ours.
    supervisor = Client(name, role=SUPERVISOR, attached=attached, lock=lock)
    failed = ring.load(LAYOUT["state"]) == State.FAILED
    if failed:
        end_workers(ring, lock)  # clients may be attached still; none can append any more
    # Order: before anything is synced and sealed. What is damaged stays so: recovery judges it.
    with suppress(Corruption), writing("the log"):
        _save_unsynced(directory, ring, failed, identity.mode)
    if not failed:
        ring.set_state(State.RUNNING)
    second = region.attach(name)
    client = Client(name, role=COMMITTER, attached=second)
    committer = Committer(client, directory.opened_again(), salvaging=True)
    try:
        committer.begin()
        while committer.step():
            pass
        end = ring.load(LAYOUT["head"])
        left = end - ring.load(LAYOUT["written"])
        if left:
            raise why_left(ring, left)
    finally:
        committer.close()
    supervisor.ring.hook = None
    return end


def _save_unsynced(directory: Directory, ring: Ring, failed: bool, mode: int) -> None:
    """Make sure that frames do not depend on pages that a failed sync left, which read right."""
    written = ring.load(LAYOUT["written"])
    found = manifests.load(directory)
    if failed and found is not None:
        renew_unsealed(directory, found.sealed_end_lsn, written, mode)
    else:
        rewrite(directory, ring.load(LAYOUT["synced"]), written)
