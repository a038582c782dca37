"""Checking every byte of a log on disk; what `logstore verify` does, without its printing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from logstore.cli.files_alone import load_manifest
from logstore.cli.progress import Progress
from logstore.errors import Corruption, IncompatibleFormat, LogstoreError, NotFound
from logstore.files import Directory
from logstore.format import SegmentHeader
from logstore.frames import Survey
from logstore.segments import repairs as registry
from logstore.segments.disk_errors import reading
from logstore.segments.fold import folded
from logstore.segments.footer import CATALOG_SECTIONS, Footer, read_footer
from logstore.segments.inventory import newest_footer, take_inventory
from logstore.segments.manifest import Manifest, SealedSegment
from logstore.segments.repair import plan_repair
from logstore.segments.repairs import Hole
from logstore.segments.seal import footer_of
from logstore.segments.segment import header_from, placed, segment_name
from logstore.segments.survey import CHUNK, survey_segment
from logstore.segments.tail import Step, make_plan


@dataclass(slots=True)
class Report:
    """What a check found.

    Attributes:
        corrupt: What is not as it was written.
        notes: What is allowed to be so, but worth knowing.
        segments: How many segments were read.
        records: How many records they hold.
        bytes: How many bytes of frames were read.
        end_lsn: Where the last whole record ends.
    """

    corrupt: list[LogstoreError] = field(default_factory=list)
    notes: list[LogstoreError] = field(default_factory=list)
    segments: int = 0
    records: int = 0
    bytes: int = 0
    end_lsn: int = 0


@dataclass(frozen=True, slots=True)
class _Before:
    """The segment before the one that is checked, as far as it is known."""

    header: SegmentHeader
    footer: Footer


def _follows(before: _Before, header: SegmentHeader) -> bool:
    told = (header.previous_end_lsn, header.previous_digest)
    return told == (before.footer.end_lsn, before.header.crc)


_Check = Callable[[int, SegmentHeader, _Before | None], None]


class Verification:
    """One check of one directory. Reads only; safe beside a running service.

    Args:
        directory: The data directory.
        written_lsn: What a running service says to be written, sampled before this is made; None
            if no service runs.
        progress: Called with the bytes of each segment that was read.
    """

    def __init__(
        self, directory: Directory, written_lsn: int | None, progress: Progress = lambda _: None
    ) -> None:
        self.report = Report()
        self._directory = directory
        self._written_lsn = written_lsn
        self._progress = progress
        self._before: _Before | None = None
        self._holes: tuple[Hole, ...] = ()

    def run(self) -> Report:
        """Check the manifest, then each segment in the order of the log.

        Raises:
            NotFound: There is no log.
            ReadFailed, PermissionDenied: It could not be read; this says nothing about the bytes.
        """
        try:
            manifest = load_manifest(self._directory)
        except (Corruption, IncompatibleFormat) as error:
            self.report.corrupt.append(error)
            self._without_manifest()
            return self.report
        self.report.end_lsn = manifest.start_lsn
        self._look_at_repairs()
        tail: tuple[int, ...] = ()
        try:
            tail = take_inventory(self._directory, manifest).tail
        except Corruption as error:
            self.report.corrupt.append(error)
        for one in manifest.sealed:
            self._open(manifest, one.base_lsn, partial(self._sealed, one))
        if self._written_lsn is None:
            self._resting_tail(manifest, tail)
        else:
            self._live_tail(manifest, tail, self._written_lsn)
        return self.report

    def _without_manifest(self) -> None:
        """Look for damage in the segments all the same, unless they change under our eyes."""
        if self._written_lsn is not None:
            return
        with suppress(Corruption, IncompatibleFormat):
            problems = plan_repair(self._directory).problems
            self.report.corrupt += [one for one in problems if one.segment is not None]

    def _look_at_repairs(self) -> None:
        try:
            self._holes = registry.load(self._directory).holes
            registry.require_finished(self._directory)
        except Corruption as error:
            self.report.corrupt.append(error)
        for hole in self._holes:
            text = f"lost to damage up to LSN {hole.until_lsn}; a repair has closed the hole"
            self.report.notes.append(Corruption(text, lsn=hole.from_lsn))

    def _open(self, manifest: Manifest, base_lsn: int, check: _Check) -> None:
        """Open a segment, check its header, then the rest; what is found goes into the report."""
        name = segment_name(base_lsn)
        before, self._before = self._before, None
        try:
            with reading(name):
                fd = self._directory.open_read(name)
                try:
                    header = header_from(self._directory, fd, name, uuid=manifest.uuid)
                    self._require_chain(before, header)
                    check(fd, header, before)
                finally:
                    self._directory.close_file(fd)
        except NotFound:
            # In the report already, unless the service dropped it a moment ago.
            return
        except (Corruption, IncompatibleFormat) as error:
            self.report.corrupt.append(error)

    def _require_chain(self, before: _Before | None, header: SegmentHeader) -> None:
        if before is None or header.previous_end_lsn > before.footer.end_lsn:
            return  # Compaction made a hole before this segment: there is nothing to compare.
        if not _follows(before, header) or header.epoch < before.header.epoch:
            text = "this segment does not continue the one before it"
            raise placed(Corruption(text), header, header.base_lsn)

    def _sealed(
        self, sealed: SealedSegment | None, fd: int, header: SegmentHeader, before: _Before | None
    ) -> None:
        footer = read_footer(self._directory, segment_name(header.base_lsn))
        if footer is None:
            assert sealed is not None
            raise placed(Corruption("the footer of this segment is gone"), header, sealed.end_lsn)
        found = (footer.base_lsn, footer.end_lsn, footer.frames_digest, header.crc)
        if sealed is not None and found != (
            sealed.base_lsn,
            sealed.end_lsn,
            sealed.digest,
            sealed.header_crc,
        ):
            text = "this segment is not the sealed one that the manifest means"
            raise placed(Corruption(text), header, footer.end_lsn)
        survey = self._survey(fd, header, footer.end_lsn)
        if survey.end_lsn < footer.end_lsn:
            raise placed(Corruption("a frame is damaged"), header, survey.end_lsn)
        if self._second_opinion(fd, header, footer.end_lsn) != footer.frames_digest:
            raise placed(Corruption("the digest of this segment is wrong"), header, footer.end_lsn)
        previous = before.footer if before and _follows(before, header) else None
        catalog = folded(self._directory, fd, header, survey, previous)
        rebuilt = footer_of(header, survey, catalog)
        unknown = tuple(one for one in footer.others if one.type not in CATALOG_SECTIONS)
        rebuilt = replace(rebuilt, others=rebuilt.others + unknown)
        first_lsn = before.header.base_lsn if before else header.base_lsn
        holed = any(h.from_lsn < footer.end_lsn and h.until_lsn > first_lsn for h in self._holes)
        if holed or (previous is None and header.previous_end_lsn):
            # Without all frames before, only what this one says of itself can be compared.
            rebuilt = replace(rebuilt, groups=footer.groups, others=footer.others)
        if rebuilt != footer:
            text = "the footer does not tell what the segment holds"
            raise placed(Corruption(text), header, footer.end_lsn)
        self._before = _Before(header, footer)

    def _live_tail(self, manifest: Manifest, tail: tuple[int, ...], written_lsn: int) -> None:
        """Check the segments that a running service has not called sealed yet."""
        for base_lsn, next_lsn in zip(tail, (*tail[1:], written_lsn), strict=True):
            self._open(manifest, base_lsn, partial(self._growing, max(base_lsn, next_lsn)))

    def _growing(
        self, limit_lsn: int, fd: int, header: SegmentHeader, before: _Before | None
    ) -> None:
        if read_footer(self._directory, segment_name(header.base_lsn)) is not None:
            self._sealed(None, fd, header, before)
            return
        # The service writes behind this position at this moment.
        survey = self._survey(fd, header, limit_lsn)
        if survey.end_lsn < limit_lsn:
            raise placed(Corruption("a frame is damaged"), header, survey.end_lsn)

    def _resting_tail(self, manifest: Manifest, tail: tuple[int, ...]) -> None:
        """Check the segments that were not sealed when the service ended, as recovery will."""
        try:
            newest = newest_footer(self._directory, manifest)
            plan = make_plan(self._directory, manifest, tail, newest, synced_lsn=0, written_lsn=0)
        except NotFound:
            # The newest sealed segment is missing, which is in the report already.
            if not self.report.corrupt:
                raise
            return
        except (Corruption, IncompatibleFormat) as error:
            # What is wrong with a sealed segment was found above already.
            if not any(found.segment == error.segment for found in self.report.corrupt):
                self.report.corrupt.append(error)
            return
        for step in plan.steps:
            self._count(step.segment.header, step.segment.survey)
            self._tell_rest(step)
        self.report.end_lsn = plan.end_lsn
        for segment in plan.aside:
            text = "this segment lies behind the torn end; the next start keeps it aside"
            note = placed(Corruption(text), segment.header, segment.header.base_lsn)
            self.report.notes.append(note)

    def _tell_rest(self, step: Step) -> None:
        header, end_lsn = step.segment.header, step.footer.end_lsn
        rest = step.segment.data_end - header.offset_of(end_lsn)
        with suppress(Corruption):
            if rest <= 0 or read_footer(self._directory, step.segment.name) is not None:
                return
        text = f"torn tail: {rest} bytes that the next start cuts and keeps aside"
        self.report.notes.append(placed(Corruption(text), header, end_lsn))

    def _survey(self, fd: int, header: SegmentHeader, limit_lsn: int) -> Survey:
        survey = survey_segment(self._directory, fd, header, limit_lsn)
        self._count(header, survey)
        return survey

    def _second_opinion(self, fd: int, header: SegmentHeader, end_lsn: int) -> int:
        """Compute the digest of all frames by a CRC-32C that is not ours."""
        from crc32c import crc32c  # takes long to import, and nothing else here needs it

        digest, lsn = 0, header.base_lsn
        while lsn < end_lsn:
            size = min(CHUNK, end_lsn - lsn)
            data = self._directory.read(fd, size, header.offset_of(lsn))
            if not data:
                break
            digest = crc32c(data, digest)
            lsn += len(data)
        return digest

    def _count(self, header: SegmentHeader, survey: Survey) -> None:
        self.report.segments += 1
        self.report.records += survey.record_count
        self.report.bytes += survey.end_lsn - header.base_lsn
        self.report.end_lsn = survey.batch_lsn
        self._progress(survey.end_lsn - header.base_lsn)
