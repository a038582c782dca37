"""Bringing a log's files in order after whatever happened to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from logstore.disk_errors import reading, writing
from logstore.errors import Corruption, NotFound
from logstore.files import Directory
from logstore.lsn import require_lsn
from logstore.points import point
from logstore.segments import manifest as manifests
from logstore.segments.footer import Footer
from logstore.segments.inventory import newest_footer, take_inventory
from logstore.segments.manifest import Manifest, SealedSegment
from logstore.segments.quarantine import copy_aside, move_aside
from logstore.segments.renewal import renew
from logstore.segments.repairs import require_finished
from logstore.segments.seal import write_footer
from logstore.segments.segment import bases_of
from logstore.segments.survey import CHUNK
from logstore.segments.tail import Plan, Step, TailSegment, make_plan


@dataclass(frozen=True, slots=True)
class Recovered:
    """Say what a recovery found and did.

    Attributes:
        manifest: As saved: every segment is sealed, none is active, not clean.
        end_lsn: Where the log ends; the next segment begins here or beyond.
        footer: That of the newest segment, which knows all groups; None if there is no segment.
        cut_bytes: Bytes that were taken out of the log, without the zeros behind them.
        quarantined: Names of the files that keep them.
        leftovers: Segments that compaction had dropped already; the next committer removes them.
    """

    manifest: Manifest
    end_lsn: int
    footer: Footer | None
    cut_bytes: int
    quarantined: tuple[str, ...]
    leftovers: tuple[str, ...]


def recover(
    directory: Directory,
    *,
    synced_lsn: int = 0,
    written_lsn: int = 0,
    mode: int = 0o600,
    trusted: bool = False,
) -> Recovered:
    """Check a log's files, cut what a crash left torn, and seal every segment; durable on return.

    After a clean shutdown this lists the directory, reads the newest footer and saves the
    manifest; otherwise it also reads and syncs all segments that are not known to be sealed. No
    other process may write the log's files meanwhile. It may be killed at any point and called
    again: it then does what is left to do, and gives the same bytes.

    Args:
        directory: The data directory.
        synced_lsn: What a region of this log and this boot says was durable; 0 if there is none.
        written_lsn: What it says was written.
        mode: Permissions of the files that are made.
        trusted: No error was met in writing or syncing these files: they are sealed in place.
            Otherwise their frames go to new files, for which there must be room.

    Raises:
        NotFound: There is no log here.
        Corruption: Stored bytes are not what was written; nothing was changed.
        IncompatibleFormat: A newer version wrote them; nothing was changed.
        ReadFailed, PermissionDenied: They could not be read; nothing was changed.
        DiskFull: There is no room; nothing was lost, call again when there is.
        SyncFailed: The disk did not take what had to be written.
    """
    require_lsn(synced_lsn, name="synced_lsn")
    require_lsn(written_lsn, name="written_lsn")
    require_finished(directory)
    manifest = _load(directory)
    inventory = take_inventory(directory, manifest)
    newest = newest_footer(directory, manifest)
    plan = make_plan(
        directory,
        manifest,
        inventory.tail,
        newest,
        synced_lsn=synced_lsn,
        written_lsn=written_lsn,
    )
    manifest = _without_name(directory, manifest, plan, mode)
    with writing("the log"):
        quarantined = _carry_out(directory, manifest, plan, mode, trusted)
    sealed = [step for step in plan.steps if not _is_empty(step)]
    manifest = _extended(manifest, plan, sealed)
    point("recover.done")
    manifests.save(directory, manifest, mode=mode)
    return Recovered(
        manifest=manifest,
        end_lsn=plan.end_lsn,
        footer=sealed[-1].footer if sealed else newest,
        cut_bytes=sum(length for _, length in quarantined),
        quarantined=tuple(name for name, _ in quarantined),
        leftovers=inventory.leftovers,
    )


def _extended(manifest: Manifest, plan: Plan, sealed: Sequence[Step]) -> Manifest:
    headers = [step.segment.header for step in plan.steps] + [s.header for s in plan.aside]
    return replace(
        manifest,
        epoch=max([manifest.epoch, *(header.epoch for header in headers)]),
        clean=False,
        sealed=manifest.sealed + tuple(map(_sealed, sealed)),
        active_base_lsn=None,
    )


def _load(directory: Directory) -> Manifest:
    manifest = manifests.load(directory)
    if manifest is None:
        with reading("the data directory"):
            names = directory.names()
        if bases_of(names):
            raise Corruption("there are segments, but the manifest is missing", path=directory.path)
        raise NotFound("there is no log in this directory", path=directory.path)
    return manifest


def _without_name(directory: Directory, manifest: Manifest, plan: Plan, mode: int) -> Manifest:
    """Save that no segment is active, if the plan takes away the name of one."""
    dropped = bool(plan.aside) or any(map(_is_empty, plan.steps))
    if manifest.active_base_lsn is None or not dropped:
        return manifest
    # Crash: before the name goes, or the next recovery would miss the segment.
    manifest = replace(manifest, active_base_lsn=None)
    manifests.save(directory, manifest, mode=mode)
    return manifest


def _is_empty(step: Step) -> bool:
    return step.footer.base_lsn == step.footer.end_lsn


def _sealed(step: Step) -> SealedSegment:
    footer = step.footer
    return SealedSegment(
        footer.base_lsn, footer.end_lsn, footer.frames_digest, step.segment.header.crc
    )


def _carry_out(
    directory: Directory, manifest: Manifest, plan: Plan, mode: int, trusted: bool
) -> list[tuple[str, int]]:
    """Do what the plan says; return each quarantined file with its length."""
    quarantined = []
    # From the last to the first: after a crash in between, the rest is still one chain.
    for segment in reversed(plan.aside):
        base_lsn = segment.header.base_lsn
        stem = f"{base_lsn:020d}-{base_lsn:020d}-{manifest.epoch}"
        name = _set_aside(directory, segment, stem)
        quarantined.append((name, directory.size(name)))
    if plan.aside:
        directory.sync()
    for step in plan.steps:
        quarantined += _cut(directory, step, manifest.epoch, mode)
        if _is_empty(step):
            # Its name must be free: the next segment may begin at the same LSN.
            directory.unlink(step.segment.name)
        elif trusted:
            _seal_in_place(directory, step, plan.durable_lsn)
        else:
            renew(directory, step.segment.header, step.footer.end_lsn, step.footer, mode)
        if not _is_empty(step):
            point("recover.sealed")
    return quarantined


def _seal_in_place(directory: Directory, step: Step, durable_lsn: int) -> None:
    fd = directory.open_write(step.segment.name)
    try:
        _write_again(directory, fd, step, durable_lsn)
        write_footer(directory, fd, step.segment.header, step.footer)
    finally:
        directory.close_file(fd)


def _set_aside(directory: Directory, segment: TailSegment, stem: str) -> str:
    fd = directory.open_write(segment.name)
    try:
        directory.truncate(fd, segment.data_end)
        directory.sync_file(fd)
    finally:
        directory.close_file(fd)
    return move_aside(directory, segment.name, stem)


def _cut(directory: Directory, step: Step, epoch: int, mode: int) -> list[tuple[str, int]]:
    """Cut the file behind its last frame, unless only zeros or its own footer follow."""
    if step.segment.data_end <= step.segment.header.offset_of(step.footer.end_lsn):
        return []
    fd = directory.open_write(step.segment.name)
    try:
        return _cut_behind(directory, fd, step, epoch, mode)
    finally:
        directory.close_file(fd)


def _cut_behind(
    directory: Directory, fd: int, step: Step, epoch: int, mode: int
) -> list[tuple[str, int]]:
    end_lsn = step.footer.end_lsn
    offset = step.segment.header.offset_of(end_lsn)
    length = step.segment.data_end - offset
    with reading(step.segment.name):
        own = directory.read(fd, length, offset)
    if step.footer.encode().startswith(own):
        return []
    stem = f"{step.footer.base_lsn:020d}-{end_lsn:020d}-{epoch}"
    name = copy_aside(directory, fd, offset, step.segment.data_end, stem, mode=mode)
    point("recover.copied")
    # Crash: the copy is durable and the bytes are still here; the next recovery finds both
    # the same and goes on.
    directory.truncate(fd, offset)
    directory.sync_file(fd)
    return [(name, length)]


def _write_again(directory: Directory, fd: int, step: Step, durable_lsn: int) -> None:
    """Write the frames that are not known to be durable once more, in place.

    A sync that failed has left pages that the kernel takes for clean: they read right, and no
    later sync writes them. Only writing makes them dirty again.
    """
    header = step.segment.header
    start, end = (
        header.offset_of(lsn) for lsn in (max(durable_lsn, header.base_lsn), step.footer.end_lsn)
    )
    for at in range(start, end, CHUNK):
        with reading(step.segment.name):
            frames = directory.read(fd, min(CHUNK, end - at), at)
        directory.write(fd, frames, at)
