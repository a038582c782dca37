"""Examining the segments that no manifest calls sealed, and deciding where the log ends.

Nothing here writes. What has to be done is returned as a plan, so that damage and read errors
are found before anything is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from logstore.disk_errors import reading
from logstore.errors import Corruption
from logstore.files import Directory
from logstore.format import SegmentHeader
from logstore.frames import Survey
from logstore.lsn import MAXIMUM_LSN
from logstore.segments.catalog import Catalog
from logstore.segments.fold import folded
from logstore.segments.footer import Footer, read_footer
from logstore.segments.manifest import Manifest
from logstore.segments.recovery import Reached, Rest, TailFacts, TailVerdict, tail_verdict
from logstore.segments.seal import footer_of
from logstore.segments.segment import placed, read_header, require_writable, segment_name
from logstore.segments.survey import capacity_lsn, data_end, greatest_proof, survey_segment


@dataclass(frozen=True, slots=True)
class TailSegment:
    """Hold what was found in one segment that is not known to be sealed.

    Attributes:
        header: Its header.
        limit_lsn: Where its frames must end because the next segment says so, or cannot go
            beyond because the file ends.
        survey: Its frames.
        data_end: File offset behind its last byte that is not zero.
        proof_lsn: Everything below was durable; its frames or its footer say so.
    """

    header: SegmentHeader
    limit_lsn: int
    survey: Survey
    data_end: int
    proof_lsn: int

    @property
    def name(self) -> str:
        """The file's name."""
        return segment_name(self.header.base_lsn)


@dataclass(frozen=True, slots=True)
class Step:
    """Say what one segment shall become: sealed with this footer, which has its end."""

    segment: TailSegment
    footer: Footer


@dataclass(frozen=True, slots=True)
class Plan:
    """Say what has to be done to a log's files.

    Attributes:
        steps: Segments to seal, in order. The last may be empty, and is then to be removed.
        aside: Segments behind the end, to be put into quarantine.
        end_lsn: Where the log ends.
        durable_lsn: Everything below was durable before.
    """

    steps: tuple[Step, ...]
    aside: tuple[TailSegment, ...]
    end_lsn: int
    durable_lsn: int


def make_plan(
    directory: Directory,
    manifest: Manifest,
    bases: Sequence[int],
    newest: Footer | None,
    *,
    synced_lsn: int,
    written_lsn: int,
) -> Plan:
    """Examine the segments at `bases` and decide what has to be done. Reads only.

    Args:
        directory: The data directory.
        manifest: What is known to be sealed.
        bases: Where the segments after the sealed ones begin.
        newest: The footer of the newest sealed segment.
        synced_lsn: What a region of this boot says was durable; 0 if there is none.
        written_lsn: What it says was written.

    Raises:
        Corruption: Frames are bad that are known to have been durable or written.
        IncompatibleFormat: A newer version wrote some of it.
        ReadFailed, PermissionDenied: Something could not be read.
    """
    headers = [read_header(directory, segment_name(base), uuid=manifest.uuid) for base in bases]
    linked = _linked(manifest, headers)
    limits = [header.previous_end_lsn for header in headers[1:linked]]
    limits += [0] * (len(headers) - len(limits))
    tail = [_examine(directory, *one) for one in zip(headers, limits, strict=True)]
    kept = _whole(tail[:linked])
    durable_lsn = max([synced_lsn, *(one.proof_lsn for one in tail)])
    steps = _steps(directory, kept, newest)
    _judge(manifest, tail, steps, max(durable_lsn, written_lsn))
    return Plan(
        steps=steps,
        aside=tuple(tail[len(kept) :]),
        end_lsn=steps[-1].footer.end_lsn if steps else manifest.sealed_end_lsn,
        durable_lsn=durable_lsn,
    )


def _linked(manifest: Manifest, headers: Sequence[SegmentHeader]) -> int:
    """Count the segments from the first on that form one chain with the sealed ones.

    A break means that a segment between is not there. That is no damage yet: a power loss
    may take the name of a segment that nobody was told is durable.
    """
    crc, lowest, highest = 0, 0, 0
    if manifest.sealed:
        newest = manifest.sealed[-1]
        crc, lowest, highest = newest.header_crc, newest.end_lsn, newest.end_lsn
    for index, header in enumerate(headers):
        if header.previous_digest != crc or not lowest <= header.previous_end_lsn <= highest:
            return index
        crc, lowest, highest = header.crc, header.base_lsn, MAXIMUM_LSN
    return len(headers)


def _examine(directory: Directory, header: SegmentHeader, limit_lsn: int) -> TailSegment:
    """Look through one segment; a limit of 0 means that no other segment says where it ends."""
    require_writable(header)
    name = segment_name(header.base_lsn)
    with reading(name):
        capacity = capacity_lsn(header, directory.size(name))
        fd = directory.open_read(name)
        try:
            survey = survey_segment(directory, fd, header, limit_lsn or capacity)
            end = data_end(directory, fd, header.offset_of(survey.end_lsn))
            proof_lsn = max(survey.proof_lsn, _sealed_end(directory, name))
            if survey.end_lsn != limit_lsn and end > header.offset_of(survey.end_lsn):
                beyond = greatest_proof(directory, fd, header, survey.end_lsn, capacity)
                proof_lsn = max(proof_lsn, beyond)
        finally:
            directory.close_file(fd)
    return TailSegment(header, limit_lsn or capacity, survey, end, proof_lsn)


def _sealed_end(directory: Directory, name: str) -> int:
    """Return the LSN that the segment's footer proves, or 0; a torn footer proves nothing."""
    try:
        footer = read_footer(directory, name)
    except Corruption:
        return 0
    return 0 if footer is None else footer.end_lsn


def _whole(linked: Sequence[TailSegment]) -> Sequence[TailSegment]:
    """Return the segments up to the first whose frames do not reach the next one."""
    for count, segment in enumerate(linked, 1):
        if segment.survey.end_lsn != segment.limit_lsn:
            return linked[:count]
    return linked


def _steps(
    directory: Directory, kept: Sequence[TailSegment], newest: Footer | None
) -> tuple[Step, ...]:
    steps = []
    previous = newest
    for segment in kept:
        survey = segment.survey
        if survey.batch_lsn != survey.end_lsn:
            if segment is not kept[-1]:
                error = Corruption("a batch has no end, although the log goes on behind it")
                raise placed(error, segment.header, survey.batch_lsn)
            with reading(segment.name):
                survey = _survey_again(directory, segment, survey.batch_lsn)
        with reading(segment.name):
            catalog = _folded(directory, segment, survey, previous)
        previous = footer_of(segment.header, survey, catalog)
        steps.append(Step(segment, previous))
    return tuple(steps)


def _survey_again(directory: Directory, segment: TailSegment, limit_lsn: int) -> Survey:
    fd = directory.open_read(segment.name)
    try:
        return survey_segment(directory, fd, segment.header, limit_lsn)
    finally:
        directory.close_file(fd)


def _folded(
    directory: Directory, segment: TailSegment, survey: Survey, previous: Footer | None
) -> Catalog:
    fd = directory.open_read(segment.name)
    try:
        return folded(directory, fd, segment.header, survey, previous)
    finally:
        directory.close_file(fd)


def _judge(
    manifest: Manifest, tail: Sequence[TailSegment], steps: Sequence[Step], proof_lsn: int
) -> None:
    end_lsn = steps[-1].footer.end_lsn if steps else manifest.sealed_end_lsn
    something = len(tail) > len(steps) or any(_has_rest(step) for step in steps[-1:])
    facts = TailFacts(
        reached=Reached.BELOW_PROOF if end_lsn < proof_lsn else Reached.PROOF_OR_ABOVE,
        rest=Rest.SOMETHING if something else Rest.NOTHING,
        clean=manifest.clean,
        read_failed=False,
    )
    if tail_verdict(facts) is TailVerdict.CORRUPT:
        raise _corruption(steps, end_lsn, proof_lsn)


def _has_rest(step: Step) -> bool:
    header = step.segment.header
    return step.segment.data_end > header.offset_of(step.footer.end_lsn)


def _corruption(steps: Sequence[Step], end_lsn: int, proof_lsn: int) -> Corruption:
    if not steps:
        message = f"the log should go on here, up to LSN {proof_lsn} at least"
        return Corruption(message, segment=segment_name(end_lsn), lsn=end_lsn)
    last = steps[-1].segment
    message = f"the frame here is bad, but everything below LSN {proof_lsn} was written before"
    return placed(Corruption(message), last.header, last.survey.end_lsn)
