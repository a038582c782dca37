"""The sections of a footer that carry the catalog from one segment to the next. Pure.

A section that would say nothing is not written, so the footer of a log that knows no checkpoints,
transactions and reverts has none of them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from logstore.errors import Corruption
from logstore.lsn import ALIGNMENT
from logstore.payloads import Interval, check_intervals
from logstore.segments.catalog import Catalog, GroupState, Partial, Transaction
from logstore.segments.footer import (
    CHECKPOINTS,
    REVERTS,
    TRANSACTIONS,
    Footer,
    GroupRange,
    Section,
)
from logstore.segments.ranges import RangeSet

_COUNTS: Final = struct.Struct("<II")
_CHECKPOINT: Final = struct.Struct("<IIQ")
_PARTIAL: Final = struct.Struct("<IIQ")
_TRANSACTIONS: Final = struct.Struct("<QII")
_TRANSACTION: Final = struct.Struct("<QQQQII")
_REVERTS: Final = struct.Struct("<QII")
_INTERVAL: Final = struct.Struct("<IIQQ")


def sections_of(catalog: Catalog, groups: Iterable[GroupRange]) -> tuple[Section, ...]:
    """Return the sections for a footer that lists these groups."""
    sections = []
    if catalog.partial or catalog.told or catalog.checkpoints != _implied(groups):
        sections.append(Section(CHECKPOINTS, 0, _encode_checkpoints(catalog)))
    if catalog.open or catalog.committed:
        sections.append(Section(TRANSACTIONS, 0, _encode_transactions(catalog)))
    if catalog.newest_revert_lsn:
        sections.append(Section(REVERTS, 0, _encode_reverts(catalog)))
    return tuple(sections)


def catalog_of(footer: Footer | None) -> Catalog:
    """Return the catalog at the end of the segment that has this footer; None: of an empty log.

    Raises:
        Corruption: A section is not what `sections_of` can have made.
    """
    if footer is None:
        return Catalog()
    catalog = Catalog(segment_base_lsn=footer.base_lsn)
    catalog.groups |= {group.id: GroupState(group.name, group.last_seq) for group in footer.groups}
    sections = {section.type: section.data for section in footer.others}
    if CHECKPOINTS in sections:
        _decoded(_decode_checkpoints, catalog, sections[CHECKPOINTS])
    else:
        catalog.checkpoints = _implied(footer.groups)
    if TRANSACTIONS in sections:
        _decoded(_decode_transactions, catalog, sections[TRANSACTIONS])
    if REVERTS in sections:
        _decoded(_decode_reverts, catalog, sections[REVERTS])
    return catalog


def committed_in(footer: Footer) -> tuple[Transaction, ...]:
    """Return the transactions that are committed in a segment and began in an earlier one.

    Raises:
        Corruption: The section is not what `sections_of` can have made.
    """
    catalog = Catalog()
    for section in footer.others:
        if section.type == TRANSACTIONS:
            _decoded(_decode_transactions, catalog, section.data)
    return tuple(catalog.committed.values())


def _decoded(decode: Callable[[Catalog, bytes], int], catalog: Catalog, data: bytes) -> None:
    """Let a section be read into the catalog; all of it must be used up."""
    try:
        end = decode(catalog, data)
    except struct.error as error:
        raise Corruption("a section of a footer ends too early") from error
    except Corruption as error:
        raise Corruption(f"a section of a footer makes no sense: {error.message}") from error
    if end != len(data):
        raise Corruption("a section of a footer is longer than what it says")


def _implied(groups: Iterable[GroupRange]) -> dict[int, RangeSet]:
    """Return the seqs that no record has, as far as the list of groups says so.

    What comes before a segment's first record of a group was reserved and abandoned. The
    section is left out when it says no more than this.
    """
    implied = {}
    for group in groups:
        end = group.points[0].seq if group.points else group.last_seq + 1
        if 0 < group.first_seq < end:
            implied[group.id] = RangeSet([(group.first_seq, end - 1)])
    return implied


# Checkpoints: u32 groups, u32 partials; each group: u32 id, u32 0, u64 the newest seq that a
# checkpoint frame named or 0, its set; each partial: u32 group, u32 total, u64 key, the set of done
# indexes, the set of covered seqs.


def _encode_checkpoints(catalog: Catalog) -> bytes:
    parts = [_COUNTS.pack(len(catalog.checkpoints), len(catalog.partial))]
    for group, seqs in sorted(catalog.checkpoints.items()):
        parts += [_CHECKPOINT.pack(group, 0, catalog.told.get(group, 0)), seqs.encode()]
    for (group, key), one in sorted(catalog.partial.items()):
        parts += [_PARTIAL.pack(group, one.total, key), one.done.encode(), one.covered.encode()]
    return b"".join(parts)


def _decode_checkpoints(catalog: Catalog, data: bytes) -> int:
    group_count, partial_count = _COUNTS.unpack_from(data)
    offset = _decode_checkpointed(catalog, data, group_count)
    before = (-1, -1)
    for _ in range(partial_count):
        group, total, key = _PARTIAL.unpack_from(data, offset)
        done, offset = RangeSet.decode(data, offset + _PARTIAL.size)
        covered, offset = RangeSet.decode(data, offset)
        if not (before < (group, key) and group <= 0xFFFF and covered):
            raise Corruption("what is checkpointed in part is not in order")
        before = (group, key)
        catalog.partial[before] = Partial(total, done, covered)
    return offset


def _decode_checkpointed(catalog: Catalog, data: bytes, group_count: int) -> int:
    offset, before = _COUNTS.size, -1
    for _ in range(group_count):
        group, reserved, told = _CHECKPOINT.unpack_from(data, offset)
        seqs, offset = RangeSet.decode(data, offset + _CHECKPOINT.size)
        if reserved or not before < group <= 0xFFFF or not seqs or (told and told not in seqs):
            raise Corruption("the checkpoints are not in order")
        before = group
        catalog.checkpoints[group] = seqs
        if told:
            catalog.told[group] = told
    return offset


# Transactions: u64 epoch, u32 count, u32 0; each: u64 id, u64 last part, u64 parts, u64 commit
# frame or 0, u32 groups, u32 0, the set of each group as above.


def _encode_transactions(catalog: Catalog) -> bytes:
    listed = sorted((*catalog.open.values(), *catalog.committed.values()), key=lambda one: one.id)
    parts = [_TRANSACTIONS.pack(catalog.epoch, len(listed), 0)]
    for one in listed:
        counts = (one.last_lsn, one.part_count, one.commit_lsn, len(one.seqs), 0)
        parts.append(_TRANSACTION.pack(one.id, *counts))
        parts += _encode_sets(one.seqs)
    return b"".join(parts)


def _decode_transactions(catalog: Catalog, data: bytes) -> int:
    catalog.epoch, count, reserved = _TRANSACTIONS.unpack_from(data)
    offset = _TRANSACTIONS.size
    before = 0
    for _ in range(count):
        fields = _TRANSACTION.unpack_from(data, offset)
        number, last_lsn, part_count, commit_lsn, group_count, free = fields
        seqs, offset = _decode_sets(data, offset + _TRANSACTION.size, group_count)
        one = Transaction(number, seqs, last_lsn, part_count, commit_lsn)
        places = (number, last_lsn, commit_lsn)
        if not before < number <= last_lsn or any(lsn % ALIGNMENT for lsn in places) or free:
            raise Corruption("the transactions are not in order")
        before = number
        (catalog.committed if commit_lsn else catalog.open)[number] = one
    if reserved:
        raise Corruption("a word that is kept free is not")
    return offset


# Reverts: u64 the newest frame, u32 count, u32 0; each: u32 scope, u32 0, u64 from, u64 until.


def _encode_reverts(catalog: Catalog) -> bytes:
    parts = [_REVERTS.pack(catalog.newest_revert_lsn, len(catalog.hidden), 0)]
    parts += [_INTERVAL.pack(one.scope, 0, one.from_lsn, one.until_lsn) for one in catalog.hidden]
    return b"".join(parts)


def _decode_reverts(catalog: Catalog, data: bytes) -> int:
    catalog.newest_revert_lsn, count, reserved = _REVERTS.unpack_from(data)
    end: int = _REVERTS.size + count * _INTERVAL.size
    if reserved or end > len(data):
        raise Corruption("the intervals are cut off")
    intervals = [
        Interval(scope, from_lsn, until_lsn)
        for scope, _, from_lsn, until_lsn in _INTERVAL.iter_unpack(data[_REVERTS.size : end])
    ]
    check_intervals(intervals)
    newest = catalog.newest_revert_lsn
    if not newest or newest % ALIGNMENT or any(one.until_lsn > newest for one in intervals):
        raise Corruption("an interval ends behind the newest revert")
    catalog.hidden = tuple(intervals)
    return end


# Pieces.


def _encode_sets(sets: dict[int, RangeSet]) -> Iterator[bytes]:
    for group, one in sorted(sets.items()):
        yield _COUNTS.pack(group, 0)
        yield one.encode()


def _decode_sets(data: bytes, offset: int, count: int) -> tuple[dict[int, RangeSet], int]:
    sets: dict[int, RangeSet] = {}
    before = -1
    for _ in range(count):
        group, reserved = _COUNTS.unpack_from(data, offset)
        sets[group], offset = RangeSet.decode(data, offset + _COUNTS.size)
        if reserved or not before < group <= 0xFFFF or not sets[group]:
            raise Corruption("the sets of seqs are not in order")
        before = group
    return sets, offset
