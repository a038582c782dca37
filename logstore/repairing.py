"""Repairing a damaged log that nobody serves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from logstore.errors import Corruption, InUse, InvalidArgument, LogstoreError, NotFound, NotRunning
from logstore.files import Directory
from logstore.options import RECOVERIES, Options, Recovery
from logstore.ring import region
from logstore.ring._ring import LAYOUT
from logstore.ring.layout import CLIENTS, SUPERVISOR
from logstore.ring.liveness import NAME as LOCK_FILE
from logstore.ring.liveness import LockFile
from logstore.segments import manifest as manifests
from logstore.segments.disk_errors import reading
from logstore.segments.manifest import Manifest
from logstore.segments.mending import Repaired
from logstore.segments.mending import repair as mend
from logstore.segments.repair import plan_repair


@dataclass(frozen=True, slots=True)
class RepairReport:
    """Say what is wrong with a log, and what a repair did, or would do.

    Attributes:
        path: The data directory.
        problems: What was wrong, each with segment, offset and LSN; none: nothing was done.
        holes: Stretches of the log that are lost, as pairs of LSNs, the second one excluded.
        lost_records: How many records each group lost, at most: seqs given out there that no
            record has. Reservations that came to nothing cannot be told from records.
        quarantined: Files that keep what was taken out, by their names in the data directory; with
            a dry run those that would be moved there whole.
        resume_lsn: Where the log goes on; None if nothing was lost.
        dry_run: Whether nothing was changed.
    """

    path: Path
    problems: tuple[LogstoreError, ...]
    holes: tuple[tuple[int, int], ...]
    lost_records: dict[str, int]
    quarantined: tuple[str, ...]
    resume_lsn: int | None
    dry_run: bool

    @classmethod
    def _of(cls, path: Path, done: Repaired, *, dry_run: bool) -> Self:
        plan = done.plan
        return cls(
            path=path,
            problems=plan.problems,
            holes=tuple((hole.from_lsn, hole.until_lsn) for hole in plan.holes),
            lost_records=plan.lost_records,
            quarantined=plan.aside if dry_run else done.quarantined,
            resume_lsn=plan.resume_lsn,
            dry_run=dry_run,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        places = ("message", "segment", "offset", "lsn")
        return {
            "path": str(self.path),
            "problems": [{key: getattr(one, key) for key in places} for one in self.problems],
            "holes": [list(hole) for hole in self.holes],
            "lost_records": self.lost_records,
            "quarantined": list(self.quarantined),
            "resume_lsn": self.resume_lsn,
            "dry_run": self.dry_run,
        }


def repair(
    path: str | os.PathLike[str], *, recovery: Recovery = "salvage", dry_run: bool = False
) -> RepairReport:
    """Bring a damaged log to where it can be opened again; safe to call again after a crash.

    Nothing is deleted: what is taken out of the log is in `quarantine/` before, and REPAIRS tells
    for ever what was lost. A log that is not damaged is left as it is. LSNs and seqs that are lost
    are not used again; readers pass over the holes, and `logstore verify` names them.

    Args:
        path: The data directory; no service runs for it.
        recovery: "salvage" keeps every record that is sound; "tail" cuts the log at the first
            damage, and refuses if that is in a segment that was sealed.
        dry_run: Only look; change nothing.

    Raises:
        InUse: A service runs, or one was killed and the shared memory still holds its last records.
        NotFound: There is no log.
        Corruption: It cannot be repaired in this way; nothing was changed.
        IncompatibleFormat, ReadFailed, PermissionDenied: The files cannot be judged.
        DiskFull, SyncFailed: Not all of it was done; call again.
    """
    place = Path(path).absolute()
    if recovery not in RECOVERIES[1:]:
        raise InvalidArgument(f"recovery must be 'tail' or 'salvage', not {recovery!r}")
    with reading(str(place)):
        directory = Directory.open(place, create=False)
    with directory, _alone(directory, dry_run=dry_run):
        _require_log(directory)
        plan = plan_repair(directory, recovery)
        _require_no_region(plan.manifest, place)
        if dry_run:
            return RepairReport._of(place, Repaired(plan, ()), dry_run=True)
        mode = Options.load(place).mode
        return RepairReport._of(place, mend(directory, recovery, mode=mode), dry_run=False)


@contextmanager
def _alone(directory: Directory, *, dry_run: bool) -> Iterator[None]:
    """Keep every service away while the block runs.

    Raises:
        InUse: One is there, or starting.
    """
    if not directory.exists(LOCK_FILE) and dry_run:
        yield
        return
    lock = LockFile(directory.path, read_only=dry_run)
    try:
        taken = not lock.held(SUPERVISOR) if dry_run else lock.take(SUPERVISOR)
        if not taken or lock.any_held(SUPERVISOR + 1, CLIENTS):
            raise InUse("a service runs for this log; stop it first", path=directory.path)
        yield
    finally:
        lock.close()


def _require_log(directory: Directory) -> None:
    names = directory.names()
    if manifests.MANIFEST not in names and not any(name.endswith(".seg") for name in names):
        raise NotFound("there is no log in this directory", path=directory.path)


def _require_no_region(manifest: Manifest, path: Path) -> None:
    """Refuse while shared memory of this boot may hold records that are in no file yet."""
    try:
        ring, identity = region.attach(region.require_name(manifest.name), read_only=True)
    except (NotRunning, Corruption, InvalidArgument):
        return
    ours = identity.uuid == manifest.uuid and identity.boot_id == region.boot_id()
    if ours and not manifest.clean:
        head, written = ring.load(LAYOUT["head"]), ring.load(LAYOUT["written"])
        raise InUse(
            f"the service was killed, and shared memory holds LSN {written} to {head}; "
            "`logstore serve --recovery salvage` saves that and repairs the log",
            path=path,
        )
