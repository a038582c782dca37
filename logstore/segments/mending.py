"""Carrying out a repair: every byte that is taken out is durable in the quarantine before it goes.

Killed at any point and called again, it goes on with what is left to do: REPAIRS says what was
found and how far the log had come, and is marked as finished last.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, replace
from typing import Final

from logstore.disk_errors import reading, writing
from logstore.errors import Corruption
from logstore.files import Directory
from logstore.format import FRAME_HEADER_SIZE, NO_CLAIM, Kind, SegmentHeader
from logstore.frames import encode
from logstore.options import Recovery
from logstore.points import point
from logstore.segments import manifest as manifests
from logstore.segments import repairs as registry
from logstore.segments.behind import frames_behind
from logstore.segments.catalog_sections import catalog_of
from logstore.segments.fold import folded
from logstore.segments.footer import Footer
from logstore.segments.manifest import MANIFEST, Manifest, SealedSegment
from logstore.segments.quarantine import copy_aside, move_aside
from logstore.segments.remains import Remains
from logstore.segments.repair import RepairPlan, after, footer_is_right, plan_repair
from logstore.segments.repairs import Hole
from logstore.segments.seal import footer_of, seal, write_footer
from logstore.segments.segment import begin, placed, prepare, segment_name
from logstore.segments.sorting import FOUND
from logstore.segments.survey import survey_segment

_LARGEST_FILLER: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Repaired:
    """Say what a repair found and did.

    Attributes:
        plan: What was wrong and what is lost.
        quarantined: Names of the files that keep what was taken out.
    """

    plan: RepairPlan
    quarantined: tuple[str, ...]


def repair(
    directory: Directory,
    recovery: Recovery = "salvage",
    *,
    synced_lsn: int = 0,
    mode: int = 0o600,
) -> Repaired:
    """Bring a damaged log to where it can be recovered strictly; durable on return.

    Nothing is deleted: what is taken out of the log is in `quarantine/` before. A log that is not
    damaged is left as it is. No other process may use the log's files meanwhile.

    Args:
        directory: The data directory.
        recovery: What may be lost; see `plan_repair`.
        synced_lsn: What a region of this log and this boot says was durable.
        mode: Permissions of the files that are made.

    Raises:
        Corruption: It cannot be repaired in this way; nothing was changed.
        IncompatibleFormat, ReadFailed, PermissionDenied: Likewise.
        DiskFull, SyncFailed: Not all of it was done; call again.
    """
    _finish(directory, mode)
    plan = plan_repair(directory, recovery, synced_lsn=synced_lsn)
    if not plan.problems and plan.known.unfinished is None:
        return Repaired(plan, ())
    with writing("the log"):
        mender = _Mender(directory, plan, mode)
        mender.run()
    return Repaired(plan, tuple(mender.quarantined))


def _finish(directory: Directory, mode: int) -> None:
    """Mark a repair as finished that died after its very last change."""
    known = registry.load(directory)
    if known.unfinished is None or not known.unfinished.resume_lsn:
        return
    try:
        manifest = manifests.load(directory)
    except Corruption:
        return
    if manifest is not None and manifest.epoch >= known.unfinished.epoch:
        registry.save(directory, known.finished(), mode=mode)


class _Mender:
    """One repair being carried out."""

    def __init__(self, directory: Directory, plan: RepairPlan, mode: int) -> None:
        self._directory = directory
        self._plan = plan
        self._mode = mode
        self.quarantined: list[str] = []
        # Where nothing was lost, recovery judges the end of the log as always.
        self._seals_all = bool(plan.resume_lsn)
        listed = {one.base_lsn for one in plan.manifest.sealed}
        sealed = [one.base_lsn for one in plan.kept if one.footer or one.base_lsn in listed]
        self._last_sealed = max(sealed, default=0)

    def run(self) -> None:
        """Do all of it."""
        registry.save(self._directory, after(self._plan), mode=self._mode)
        point("repair.begun")
        self._put_aside()
        point("repair.aside")
        sealed = []
        previous: Footer | None = None
        for one in self._plan.kept:
            footer = self._mend(one, previous)
            if footer is not None and footer.end_lsn > footer.base_lsn:
                crc = one.header.crc
                sealed.append(
                    SealedSegment(footer.base_lsn, footer.end_lsn, footer.frames_digest, crc)
                )
                previous = footer
        point("repair.mended")
        if self._plan.resume_lsn:
            sealed.append(self._go_on(self._plan.resume_lsn, sealed, previous))
            point("repair.resumed")
        self._save_manifest(sealed)
        point("repair.saved")
        registry.save(self._directory, after(self._plan).finished(), mode=self._mode)

    def _stem(self, first: int, last: int) -> str:
        return f"{first:020d}-{last:020d}-{self._plan.epoch}"

    def _put_aside(self) -> None:
        """Move what is no segment into the quarantine, and give segments their own names."""
        directory = self._directory
        for name in self._plan.aside:
            stem = f"{name}-{self._plan.epoch}"
            self.quarantined.append(move_aside(directory, name, stem))
        if self._plan.aside:
            directory.sync()
        wrong = [one for one in self._plan.kept if one.name != segment_name(one.base_lsn)]
        # By way of a third name, because two may have changed places.
        # Crash: under that one they are found again.
        for one in wrong:
            if not one.name.endswith(FOUND):
                directory.rename(one.name, f"{one.base_lsn:020d}{FOUND}")
        for one in wrong:
            directory.rename(f"{one.base_lsn:020d}{FOUND}", segment_name(one.base_lsn))
        if wrong:
            directory.sync()

    def _mend(self, one: Remains, previous: Footer | None) -> Footer | None:
        """Fill the holes of a segment and give it a footer, if it needs that."""
        name = segment_name(one.base_lsn)
        if not self._must_seal(one):
            return None
        fd = self._directory.open_write(name)
        try:
            for hole in one.holes:
                self._copy(fd, one, hole.from_lsn, hole.until_lsn)
            kept = one.footer is not None and not one.holes
            if not kept:
                self._copy(fd, one, one.end_lsn, None)
            for hole in one.holes:
                self._fill(fd, one, hole)
                point("repair.filled")
            footer = self._footer(fd, one, previous)
            if footer != one.footer or not kept:
                write_footer(self._directory, fd, one.header, footer)
            return footer
        finally:
            self._directory.close_file(fd)

    def _must_seal(self, one: Remains) -> bool:
        return self._seals_all or one.base_lsn <= self._last_sealed

    def _copy(self, fd: int, one: Remains, first: int, last: int | None) -> None:
        """Copy what lies in a stretch of a segment, or from an LSN to its end, if anything does."""
        start = one.header.offset_of(first)
        end = one.data_end if last is None else min(one.header.offset_of(last), one.data_end)
        if end > start:
            stem = self._stem(first, last or first)
            name = copy_aside(self._directory, fd, start, end, stem, mode=self._mode)
            self.quarantined.append(name)
            point("repair.copied")

    def _fill(self, fd: int, one: Remains, hole: Hole) -> None:
        """Overwrite a hole with abandoned reservations, which readers pass over."""
        lsn = hole.from_lsn
        while lsn < hole.until_lsn:
            size = min(_LARGEST_FILLER, hole.until_lsn - lsn)
            if 0 < hole.until_lsn - lsn - size < FRAME_HEADER_SIZE:
                size -= FRAME_HEADER_SIZE
            payload = bytes(size - FRAME_HEADER_SIZE)
            frame = encode(payload, lsn, 0, 0, Kind.ABORT, 0, NO_CLAIM, one.header.salt)
            self._directory.write(fd, frame, one.header.offset_of(lsn))
            lsn += size

    def _footer(self, fd: int, one: Remains, previous: Footer | None) -> Footer:
        """Make the footer of a segment without holes; what its own one knew it still knows."""
        name = segment_name(one.base_lsn)
        with reading(name):
            survey = survey_segment(self._directory, fd, one.header, one.end_lsn)
            if survey.end_lsn != one.end_lsn:
                raise placed(Corruption("this segment changes"), one.header, survey.end_lsn)
            if one.footer is not None and footer_is_right(one, survey):
                return one.footer
            if one.footer is not None:
                made = footer_of(one.header, survey, catalog_of(one.footer))
                return replace(made, others=one.footer.others)
            catalog = folded(self._directory, fd, one.header, survey, previous)
        return footer_of(one.header, survey, catalog)

    def _go_on(
        self, base_lsn: int, sealed: list[SealedSegment], previous: Footer | None
    ) -> SealedSegment:
        """Make the segment behind the loss, which says which seqs are gone and not to be used."""
        last = sealed[-1] if sealed else None
        said_ns = previous.times[-1].time_ns if previous is not None and previous.times else 0
        header = SegmentHeader(
            uuid=self._plan.manifest.uuid,
            epoch=self._plan.epoch,
            salt=secrets.randbits(32),
            base_lsn=base_lsn,
            previous_end_lsn=last.end_lsn if last else 0,
            previous_digest=last.header_crc if last else 0,
            created_ns=max(time.time_ns(), said_ns),  # the log's time never goes back
        )
        frames = b"".join(frames_behind(self._plan, header, previous))
        directory, size = self._directory, header.offset_of(base_lsn) + len(frames)
        fd = prepare(directory, size, mode=self._mode)
        try:
            # Crash: an unfinished one of the same name is replaced by the next attempt.
            begin(directory, fd, header)
            directory.write(fd, frames, header.offset_of(base_lsn))
        finally:
            directory.close_file(fd)
        footer = seal(directory, segment_name(base_lsn), base_lsn + len(frames), previous)
        directory.sync()
        return SealedSegment(base_lsn, footer.end_lsn, footer.frames_digest, header.crc)

    def _save_manifest(self, sealed: list[SealedSegment]) -> None:
        directory, old = self._directory, self._plan.manifest
        if self._plan.rebuilt and directory.exists(MANIFEST):
            fd = directory.open_read(MANIFEST)
            try:
                stem = f"{MANIFEST}-{self._plan.epoch}"
                size = directory.file_size(fd)
                name = copy_aside(directory, fd, 0, size, stem, mode=self._mode)
                self.quarantined.append(name)
            finally:
                directory.close_file(fd)
        manifests.save(directory, self._manifest(old, sealed), mode=self._mode)

    def _manifest(self, old: Manifest, sealed: list[SealedSegment]) -> Manifest:
        start_lsn = old.start_lsn
        if sealed:
            start_lsn = max(start_lsn, sealed[0].base_lsn)
        tail = [one.base_lsn for one in self._plan.kept if not self._must_seal(one)]
        active = old.active_base_lsn if old.active_base_lsn in tail else None
        return replace(
            old,
            epoch=self._plan.epoch if self._plan.resume_lsn else old.epoch,
            clean=old.clean and not self._plan.resume_lsn,
            start_lsn=start_lsn,
            sealed=tuple(sealed),
            active_base_lsn=active,
        )
