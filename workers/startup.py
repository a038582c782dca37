"""From a data directory to a region ready for its workers: adopt, salvage, recover, create."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from logstore.disk_errors import reading
from logstore.errors import (
    Corruption,
    IncompatibleFormat,
    InUse,
    InvalidArgument,
    NotRunning,
    SyncFailed,
)
from logstore.files import Directory
from logstore.lsn import FIRST_LSN
from logstore.options import OPTIONS_FILE, Options
from logstore.points import point
from logstore.ring import region
from logstore.ring._ring import LAYOUT, Ring
from logstore.ring.client import Client
from logstore.ring.layout import CLIENTS, COMMITTER, SUPERVISOR, State
from logstore.ring.liveness import NAME as LOCK_FILE
from logstore.ring.liveness import LockFile
from logstore.ring.names import names_held
from logstore.ring.soundness import require_sound
from logstore.segments import manifest as manifests
from logstore.segments.catalog_sections import catalog_of
from logstore.segments.footer import Footer
from logstore.segments.manifest import Manifest
from logstore.segments.recovery import Region, StartFacts, StartVerdict, start_verdict
from logstore.workers import role
from logstore.workers.clock import newest_time_ns
from logstore.workers.damage import mended_manifest, recover_or_repair
from logstore.workers.salvage import salvage

REOPEN_S: Final = 10.0
LOOK_AGAIN_S: Final = 0.01
SERVICE_LOG: Final = "service.log"
_OURS: Final = frozenset({LOCK_FILE, OPTIONS_FILE, SERVICE_LOG, "lost+found", "MANIFEST.tmp"})

logger = logging.getLogger("logstore.supervisor")


@dataclass(frozen=True, slots=True)
class Started:
    """Hold what a service runs on.

    Attributes:
        client: The supervisor's own attachment.
        adopted: Whether the region, and perhaps its workers, were there already.
    """

    client: Client
    adopted: bool


def start(directory: Directory, lock: LockFile, options: Options, name: str | None) -> Started:
    """Bring a log to where its workers can be started; the supervisor's lock is held by `lock`.

    Raises:
        InUse: Another directory's log has the name, or this log runs under another name.
        Corruption: The files are damaged below what was durable; nothing was changed.
        DiskFull, SyncFailed: What the ring still holds cannot be written down; it stays there.
    """
    found = mended_manifest(directory, lock, options) or _new_log(directory, name)
    chosen = found.name if name is None else region.require_name(name)
    attached, facts = _look(found, directory.path, lock)
    verdict = start_verdict(facts)
    logger.info("region in shared memory: %s; %s", facts.region.value, verdict.value)
    if verdict is StartVerdict.REFUSE:
        raise InUse("processes of another version of logstore use this log", path=directory.path)
    if verdict in (StartVerdict.ADOPT, StartVerdict.SALVAGE) and attached is not None:
        require_sound(attached[0], region.SHM / region.shared_name(found.name)[1:])
    if verdict is StartVerdict.ADOPT and attached is not None:
        if chosen != found.name:
            raise InUse(f"the log runs under the name {found.name!r}", path=directory.path)
        if not _reopen(attached[0], lock, directory.path):
            return start(directory, lock, options, name)
        return Started(Client(found.name, role=SUPERVISOR, attached=attached, lock=lock), True)
    left = attached if verdict is StartVerdict.SALVAGE else None
    ring = left[0] if left is not None else None
    with _failing(ring, directory.path):
        synced = written = 0
        trusted = left is not None and facts.region is Region.OURS
        if left is not None:
            synced = left[0].load(LAYOUT["synced"])
            written = salvage(directory, found.name, left, lock)
            point("start.salvaged")
        _look(replace(found, name=chosen), directory.path, lock)  # raises if it is taken
        manifest, footer = _recover(
            directory, replace(found, name=chosen), synced, written, options, trusted
        )
    point("start.recovered")
    with names_held():
        _clear_names(found, chosen, directory.path, lock)
        # Order: the old name's region goes before the manifest forgets the name.
        point("start.unlinked")
        manifests.save(directory, manifest, mode=options.mode)
        client = _create(directory, manifest, footer, options, lock)
    if ring is not None:
        ring.set_state(State.CLOSED)  # for clients of a log that failed
    return Started(client, False)


@contextmanager
def _failing(ring: Ring | None, path: Path) -> Iterator[None]:
    """Make the log FAILED if the disk does not take what is recovered: the next start must know."""
    try:
        yield
    except SyncFailed as error:
        if ring is not None:
            role.fail(ring, "recovery", error, path)
        raise


def _clear_names(found: Manifest, chosen: str, path: Path, lock: LockFile) -> None:
    """Remove the log's own old region, and one of the new name that nobody needs.

    Raises:
        InUse: Somebody has taken the new name meanwhile.
    """
    for name in {found.name, chosen}:
        try:
            _look(replace(found, name=name), path, lock)
        except InUse:
            if name == chosen:
                raise
        else:
            region.unlink(name)


def _reopen(ring: Ring, lock: LockFile, path: Path) -> bool:
    """Take back a stop that did not come to its end; False if it has come to it meanwhile.

    A committer that lives may be closing the log at this moment: then nothing may be appended any
    more, and it is waited for. One that comes up later finds the log running again.

    Raises:
        NotRunning: It does not come to an end, because a live writer does not finish a record.
    """
    deadline = time.monotonic() + REOPEN_S
    while ring.load(LAYOUT["state"]) == State.DRAINING:
        if lock.take(COMMITTER):
            if ring.load(LAYOUT["state"]) == State.DRAINING:
                ring.set_state(State.RUNNING)
            lock.release(COMMITTER)
            break
        if time.monotonic() > deadline:
            raise NotRunning(
                "the log is stopping, and waits for a record that its writer does not finish",
                path=path,
            )
        time.sleep(LOOK_AGAIN_S)
    return ring.load(LAYOUT["state"]) != State.CLOSED


def _new_log(directory: Directory, name: str | None) -> Manifest:
    """Describe a log that does not exist yet; nothing is written."""
    with reading("the data directory"):
        others = sorted(set(directory.names()) - _OURS)
    if any(other.endswith(".seg") for other in others):
        raise Corruption("there are segments but no MANIFEST", path=directory.path)
    if others:
        raise InvalidArgument(
            f"this directory is no log and not empty (it has {others[0]!r}): "
            "name a new or empty directory",
            path=directory.path,
        )
    chosen = region.require_name(name if name is not None else directory.path.name)
    return Manifest(
        uuid=secrets.token_bytes(16),
        name=chosen,
        epoch=0,
        clean=True,
        start_lsn=FIRST_LSN,
        sealed=(),
        active_base_lsn=None,
    )


def _look(
    manifest: Manifest, path: Path, lock: LockFile
) -> tuple[tuple[Ring, region.Identity] | None, StartFacts]:
    """Attach to a region of the log's name, if there is one, and judge whose it is."""
    # The supervisor's byte is ours. Anybody else's tells that the log is in use.
    held = lock.any_held(SUPERVISOR + 1, CLIENTS)
    try:
        ring, identity = region.attach(manifest.name)
    except NotRunning:
        return None, StartFacts(Region.NONE, held, manifest.clean)
    except IncompatibleFormat:
        return None, StartFacts(Region.OTHER_LAYOUT, held, manifest.clean)
    except Corruption as error:
        raise InUse(
            f"what has the log's name in shared memory is {error.message}: "
            "remove it, or give the log another name",
            path=error.path,
        ) from error
    if identity.boot_id != region.boot_id():
        return None, StartFacts(Region.OTHER_BOOT, held, manifest.clean)
    if identity.uuid != manifest.uuid:
        if _needed(identity):
            raise InUse(
                f"another log has the name {manifest.name!r}, and is running or was killed and "
                "not recovered yet; give this one another name",
                path=identity.directory,
            )
        return None, StartFacts(Region.OTHER_UUID, held, manifest.clean)
    if identity.directory.exists() and not identity.directory.samefile(path):
        raise InUse("this log is a copy of one that is running", path=identity.directory)
    failed = ring.load(LAYOUT["state"]) == State.FAILED
    kind = Region.OURS_FAILED if failed else Region.OURS
    return (ring, identity), StartFacts(kind, held, manifest.clean)


def _needed(identity: region.Identity) -> bool:
    """Tell whether another log's region is in use, or holds records that are nowhere else."""
    path = identity.directory
    if not (path / LOCK_FILE).exists():
        return False
    lock = LockFile(path)
    try:
        if lock.any_held(SUPERVISOR, CLIENTS):
            return True
    finally:
        lock.close()
    with reading("the directory of a log of this name"):
        directory = Directory.open(path, create=False)
    with directory:
        found = manifests.load(directory)
    return found is not None and found.uuid == identity.uuid and not found.clean


def _recover(
    directory: Directory,
    found: Manifest,
    synced: int,
    written: int,
    options: Options,
    trusted: bool,
) -> tuple[Manifest, Footer | None]:
    """Recover the files; return the next epoch's manifest, not saved yet, and the newest footer."""
    footer = None
    if found.epoch == 0:
        manifest = replace(found, epoch=1, clean=False)
    else:
        recovered = recover_or_repair(directory, synced, written, options, trusted=trusted)
        footer = recovered.footer
        for name in recovered.quarantined:
            logger.warning("torn tail: a copy is in %s", name)
        manifest = replace(
            recovered.manifest, name=found.name, epoch=recovered.manifest.epoch + 1, clean=False
        )
    return manifest, footer


def _create(
    directory: Directory,
    manifest: Manifest,
    footer: Footer | None,
    options: Options,
    lock: LockFile,
) -> Client:
    end_lsn = manifest.sealed[-1].end_lsn if manifest.sealed else manifest.start_lsn
    identity = region.Identity(
        uuid=manifest.uuid,
        boot_id=region.boot_id(),
        epoch=manifest.epoch,
        salt=secrets.randbits(32),
        ring_size=options.ring_size,
        segment_size=options.segment_size,
        sync_interval_ns=round(options.sync_interval_s * 1e9),
        created_ns=time.time_ns(),
        mode=options.mode,
        name=manifest.name,
        directory=directory.path,
    )
    log_time_ns = newest_time_ns(directory, footer)
    ring = region.create(
        identity,
        start_lsn=manifest.start_lsn,
        head_lsn=end_lsn,
        groups=[(g.id, g.name, g.last_seq) for g in footer.groups] if footer else (),
        newest_revert_lsn=catalog_of(footer).newest_revert_lsn,
    )
    ring.store(LAYOUT["log_time_ns"], log_time_ns)
    ring.store(LAYOUT["retain_bytes"], options.retain_bytes)
    ring.store(LAYOUT["retain_age_ns"], round(options.retain_age_s * 1e9))
    return Client(manifest.name, role=SUPERVISOR, attached=(ring, identity), lock=lock)
