"""Carrying the catalog forward over the frames of a segment; the one way for all who need it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from logstore.disk_errors import reading
from logstore.errors import Corruption, IncompatibleFormat, NotFound
from logstore.files import Directory
from logstore.format import IGNORABLE, Kind, SegmentHeader
from logstore.frames import SHORT, UNKNOWN_KIND, Record, Survey, scan
from logstore.payloads import PART_PREFIX_SIZE, part_transaction
from logstore.segments.catalog import Catalog
from logstore.segments.catalog_sections import catalog_of
from logstore.segments.effects import apply_effects, apply_frame
from logstore.segments.footer import Footer, footer_from
from logstore.segments.ranges import RangeSet
from logstore.segments.segment import bases_of, header_from, placed, read_header, segment_name
from logstore.segments.survey import CHUNK, survey_segment

_KNOWN_KINDS: Final[frozenset[int]] = frozenset(Kind)
_RECORDS: Final = 1 << Kind.DATA
_OTHERS: Final = sum(1 << kind for kind in Kind if kind not in (Kind.DATA, Kind.MARK))


def folded(
    directory: Directory, fd: int, header: SegmentHeader, survey: Survey, previous: Footer | None
) -> Catalog:
    """Return the catalog at the end of a surveyed segment; `previous` is the footer before it.

    Reads the segment once more only if it has seqs that no record has and no abandoned reservation
    explains, or a part of a transaction that makes no sense.

    Raises:
        Corruption: A frame that is valid by its checksum has contents that make no sense.
        IncompatibleFormat: A frame is of a kind that must be known and is not.
        OSError: The file could not be read.
    """
    catalog = catalog_of(previous)
    fold(catalog, directory, fd, header, survey)
    return catalog


def fold(
    catalog: Catalog, directory: Directory, fd: int, header: SegmentHeader, survey: Survey
) -> None:
    """Carry a catalog over the frames of the next segment, as `folded` does."""
    catalog.begin_segment(header.base_lsn, header.epoch)
    effects = survey.effects()
    frames = survey.system() if effects is None else effects
    for lsn, kind, *_ in frames:
        if kind not in _KNOWN_KINDS and not kind & IGNORABLE:
            error = IncompatibleFormat(f"frames of kind {kind} are not known here")
            raise placed(error, header, lsn)
    aborted = [(group, seq) for _, kind, group, seq, *_ in frames if kind == Kind.ABORT and seq]
    unexplained = _has_unexplained_gaps(survey, set(aborted))
    for group, first_seq, _, _ in survey.groups():
        # A writer that died in the middle of a batch has taken more seqs than its one abort
        # frame says. The group's next frame tells how many.
        last_seq = catalog.groups[group].last_seq if group in catalog.groups else 0
        if first_seq > last_seq + 1:
            catalog.checkpoint(group, [(last_seq + 1, first_seq - 1)])
    if effects is None or unexplained:
        kinds = _OTHERS | _RECORDS if unexplained else _OTHERS
        folder = _Folder(catalog, header)
        for records in scanned(directory, fd, header, survey.end_lsn, kinds):
            folder.take(records)
        folder.finish(survey if unexplained else None)
    else:
        apply_effects(catalog, header, effects)
    for group, _, last_seq, _ in survey.groups():
        if last_seq:
            catalog.note_seq(group, last_seq)
    catalog.settle()


def catalog_at(directory: Directory, uuid: bytes, limit_lsn: int) -> Catalog:
    """Return the catalog of everything below `limit_lsn`; reads only.

    Reads the newest footer at or below that and the segments behind it, so it takes the same time
    however long the log is. Its `committed` tells of all these segments. Blocks on the disk.
    Segments may be sealed and added meanwhile.

    Args:
        directory: The data directory.
        uuid: The log that the segments must belong to.
        limit_lsn: Where a frame ends, at most how far the files have been written.

    Raises:
        Corruption: The frames do not reach so far, or some of them make no sense.
        IncompatibleFormat, ReadFailed, PermissionDenied: Something could not be read.
        NotFound: A segment was removed meanwhile; call again, with a newer limit.
    """
    with reading("the data directory"):
        found = bases_of(directory.names())
    bases = [base for base in found if base <= limit_lsn]
    footer, later = None, bases
    for index in range(len(bases) - 1, -1, -1):
        footer = _footer_below(directory, uuid, bases[index], limit_lsn)
        if footer is not None:
            later = bases[index + 1 :]
            break
    if footer is None and found:
        _require_first(directory, uuid, found[0])
    catalog = catalog_of(footer)
    ends = [read_header(directory, segment_name(b), uuid=uuid).previous_end_lsn for b in later[1:]]
    committed = catalog.committed
    for base, end in zip(later, [*ends, limit_lsn][: len(later)], strict=True):
        _fold_named(catalog, directory, uuid, base, end)
        committed |= catalog.committed
    catalog.committed = committed
    return catalog


def _require_first(directory: Directory, uuid: bytes, base: int) -> None:
    """Refuse to begin a catalog with nothing in a segment that has a predecessor."""
    if read_header(directory, segment_name(base), uuid=uuid).previous_end_lsn:
        raise NotFound("what came before was removed meanwhile", lsn=base)


def _footer_below(directory: Directory, uuid: bytes, base: int, limit_lsn: int) -> Footer | None:
    name = segment_name(base)
    with reading(name):
        fd = directory.open_read(name)
        try:
            header_from(directory, fd, name, uuid=uuid)
            footer = footer_from(directory, fd, name)
        finally:
            directory.close_file(fd)
    return footer if footer is not None and footer.end_lsn <= limit_lsn else None


def _fold_named(catalog: Catalog, directory: Directory, uuid: bytes, base: int, end: int) -> None:
    name = segment_name(base)
    with reading(name):
        fd = directory.open_read(name)
        try:
            header = header_from(directory, fd, name, uuid=uuid)
            survey = survey_segment(directory, fd, header, end)
            if survey.end_lsn < end:
                error = Corruption(f"this segment should have whole frames up to LSN {end}")
                raise placed(error, header, survey.end_lsn)
            fold(catalog, directory, fd, header, survey)
        finally:
            directory.close_file(fd)


def _has_unexplained_gaps(survey: Survey, aborted: set[tuple[int, int]]) -> bool:
    counts: dict[int, int] = {}
    for group, _ in aborted:
        counts[group] = counts.get(group, 0) + 1
    return any(
        last_seq - first_seq + 1 > record_count + counts.get(group, 0)
        for group, first_seq, last_seq, record_count in survey.groups()
        if first_seq
    )


def scanned(
    directory: Directory, fd: int, header: SegmentHeader, end_lsn: int, kinds: int
) -> Iterator[list[Record]]:
    """Give the frames of a segment; a group's name is "#" and its id."""
    lsn, size = header.base_lsn, CHUNK
    while lsn < end_lsn:
        data = directory.read(fd, min(size, end_lsn - lsn), header.offset_of(lsn))
        records, next_lsn, verdict = scan(data, lsn, header.salt, end_lsn, [], kinds=kinds)
        if verdict == UNKNOWN_KIND:
            error = IncompatibleFormat("this frame's kind is not known")
            raise placed(error, header, next_lsn)
        if next_lsn == lsn:
            if verdict != SHORT or len(data) < size:
                raise placed(Corruption("the frame here has changed"), header, lsn)
            size *= 2  # The frame is larger than what was read.
        lsn = next_lsn
        yield records


@dataclass(slots=True)
class _Run:
    """Records of one group and transaction whose seqs follow each other; of none, if it is 0."""

    transaction: int
    first_seq: int
    last_seq: int
    last_lsn: int


class _Folder:
    """Take the frames of one segment into a catalog, runs of records at once."""

    def __init__(self, catalog: Catalog, header: SegmentHeader) -> None:
        self._catalog = catalog
        self._header = header
        self._runs: dict[tuple[str, bytes], _Run] = {}
        self._seen: dict[int, RangeSet] = {}

    def take(self, records: list[Record]) -> None:
        """Take in some frames, in the order of the log."""
        runs = self._runs
        for record in records:
            if record.kind > Kind.TXN_PART:
                self._take_other(record)
                continue
            seq = record.seq
            part = record.kind == Kind.TXN_PART
            # The bytes of a transaction's id stand for it: they are read once a run.
            key = (record.group, bytes(record.payload[:PART_PREFIX_SIZE]) if part else b"")
            run = runs.get(key)
            if run is not None and seq == run.last_seq + 1 and run.first_seq:
                run.last_seq, run.last_lsn = seq, record.lsn
                continue
            if run is not None:
                self._end(key[0], run)
            transaction = self._transaction(record) if part else 0
            runs[key] = _Run(transaction, seq, seq, record.lsn)

    def finish(self, survey: Survey | None) -> None:
        """Apply what is left; with a survey, count the seqs that no record has as not needed."""
        self._end_all()
        for group, first_seq, last_seq, _ in survey.groups() if survey is not None else ():
            seen = self._seen.get(group)
            if first_seq and seen is not None:
                self._catalog.checkpoint(group, seen.gaps(first_seq, last_seq))

    def _take_other(self, record: Record) -> None:
        self._end_all()
        kind, seq, group = record.kind, record.seq, int(record.group[1:])
        if kind == Kind.ABORT and seq:
            self._seen.setdefault(group, RangeSet()).add(seq, seq)
        apply_frame(self._catalog, self._header, record.lsn, kind, group, seq, record.payload)

    def _transaction(self, record: Record) -> int:
        """Return the transaction of a run's first part; begin it if that is its first of all."""
        try:
            transaction = part_transaction(record.payload)
        except Corruption as error:
            raise placed(error, self._header, record.lsn) from error
        if transaction == record.lsn:
            self._catalog.begin(transaction)
        return transaction

    def _end_all(self) -> None:
        for (name, _), run in self._runs.items():
            self._end(name, run)
        self._runs.clear()

    def _end(self, name: str, run: _Run) -> None:
        group, seqs = int(name[1:]), (run.first_seq, run.last_seq)
        if run.first_seq:
            self._seen.setdefault(group, RangeSet()).add(*seqs)
        if run.transaction:
            self._catalog.apply_parts(run.transaction, group, seqs, run.last_lsn)
