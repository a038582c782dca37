"""What a start does about a damaged log: refuse and say what would help, or repair it and go on."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from logstore.disk_errors import reading
from logstore.errors import Corruption, LogstoreError
from logstore.files import Directory
from logstore.options import Options, Recovery
from logstore.ring.layout import CLIENTS, SUPERVISOR
from logstore.ring.liveness import LockFile
from logstore.segments import manifest as manifests
from logstore.segments.manifest import Manifest
from logstore.segments.recover import Recovered, recover
from logstore.segments.segment import bases_of

if TYPE_CHECKING:
    from logstore.segments.repair import RepairPlan

_LOSING: Final[tuple[Recovery, ...]] = ("tail", "salvage")

logger = logging.getLogger("logstore.supervisor")


def mended_manifest(directory: Directory, lock: LockFile, options: Options) -> Manifest | None:
    """Load the manifest, and first make it anew if it is damaged and that is allowed.

    Returns None if there is no log yet.

    Raises:
        Corruption: It is damaged or missing, and that is not allowed, or somebody is at work.
    """
    try:
        found = manifests.load(directory)
        if found is None and _has_segments(directory):
            raise Corruption("there are segments but no MANIFEST", path=directory.path)
    except Corruption as error:
        if options.recovery == "strict":
            raise advised(directory, error, 0) from None
        if lock.any_held(SUPERVISOR + 1, CLIENTS):
            raise
        _repair(directory, 0, options)
        found = manifests.load(directory)
    return found


def _has_segments(directory: Directory) -> bool:
    with reading("the data directory"):
        return bool(bases_of(directory.names()))


def recover_or_repair(
    directory: Directory, synced_lsn: int, written_lsn: int, options: Options, *, trusted: bool
) -> Recovered:
    """Recover the files, and first repair them if they are damaged and that is allowed.

    The arguments are those of `recover`.

    Raises:
        Corruption: They are damaged; the message says what would be lost by going on.
    """
    recovers = partial(
        recover,
        directory,
        synced_lsn=synced_lsn,
        written_lsn=written_lsn,
        mode=options.mode,
        trusted=trusted,
    )
    try:
        return recovers()
    except Corruption as error:
        reach = max(synced_lsn, written_lsn)
        if options.recovery == "strict":
            raise advised(directory, error, reach) from None
        # What was written has outlived every process: it should be there as what was synced.
        _repair(directory, reach, options)
    return recovers()


def advised(directory: Directory, error: Corruption, reach: int) -> Corruption:
    """Add to an error which ways of recovery would go on, and what they would lose."""
    from logstore.segments.repair import plan_repair

    advice = ["nothing was changed; `logstore repair` shows what can be kept"]
    for recovery in _LOSING:
        try:
            plan = plan_repair(directory, recovery, synced_lsn=reach)
        except LogstoreError:
            advice.append(f"recovery {recovery!r} would not go on either")
        else:
            advice.append(f"recovery {recovery!r} would go on and lose {loss_text(plan)}")
    error.message = f"{error.message}; {'; '.join(advice)}"
    error.args = (error.message,)
    return error


def loss_text(plan: RepairPlan) -> str:
    """Say in a line what a repair loses."""
    if not plan.holes:
        return "no record"
    stretches = ", ".join(f"{hole.from_lsn} to {hole.until_lsn}" for hole in plan.holes[:3])
    more = f" and {len(plan.holes) - 3} more" if len(plan.holes) > 3 else ""
    counts = [f"{count} of {name!r}" for name, count in plan.lost_records.items()]
    records = f" (records at most: {', '.join(counts)})" if counts else ""
    return f"LSN {stretches}{more}{records}"


def _repair(directory: Directory, reach: int, options: Options) -> None:
    """Repair the files and tell what was wrong and what is lost."""
    # Imported late: next to no start needs it.
    from logstore.segments.mending import repair

    repaired = repair(directory, options.recovery, synced_lsn=reach, mode=options.mode)
    for problem in repaired.plan.problems:
        logger.warning("repaired: %s", problem)
    logger.warning("lost: %s", loss_text(repaired.plan))
    for name in repaired.quarantined:
        logger.warning("a copy is in %s", name)
