"""Taking what a survey found, frame by frame, into a catalog."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, TypeAlias

from logstore.errors import Corruption
from logstore.format import Kind, SegmentHeader
from logstore.payloads import CheckpointRanges, encode_checkpoint
from logstore.segments.catalog import Catalog
from logstore.segments.ranges import RangeSet
from logstore.segments.segment import placed

Frame: TypeAlias = tuple[int, int, int, int, bytes]
"""LSN, kind, group, seq, payload."""
PartSet: TypeAlias = tuple[int, int, int, int, bool, bytes]

_PAIR: Final = struct.Struct("<QQ")
_ONE_RANGE: Final = encode_checkpoint(CheckpointRanges(((1, 1),)))[: -_PAIR.size]
_ONE_RANGE_SIZE: Final = len(_ONE_RANGE) + _PAIR.size


def apply_effects(
    catalog: Catalog, header: SegmentHeader, effects: Iterable[Frame | PartSet]
) -> None:
    """Take in all effects, in the order of the log.

    Raises:
        Corruption: A payload makes no sense; says where.
    """
    checkpoints = _Checkpoints(catalog)
    for effect in effects:
        if len(effect) == 5:
            lsn, kind, group, seq, payload = effect
            if kind == Kind.CHECKPOINT and not seq and checkpoints.take(group, payload):
                continue
            checkpoints.apply()
            apply_frame(catalog, header, lsn, kind, group, seq, payload)
            continue
        checkpoints.apply()
        transaction, _, group, last_lsn, begun, ranges = effect
        if begun and transaction not in catalog.open:
            catalog.begin(transaction)
        catalog.apply_part_set(transaction, group, RangeSet.of_pairs(ranges), last_lsn)
    checkpoints.apply()


def apply_frame(
    catalog: Catalog,
    header: SegmentHeader,
    lsn: int,
    kind: int,
    group: int,
    seq: int,
    payload: bytes | memoryview,
) -> None:
    """Take in one frame.

    Raises:
        Corruption: Its payload makes no sense; says where.
    """
    try:
        catalog.apply(lsn, kind, group, seq, payload)
    except Corruption as error:
        raise placed(error, header, lsn) from error


class _Checkpoints:
    """Checkpoints of one range each, put off until something else comes.

    Who checkpoints record by record writes as many such frames as records: one by one, they took
    longer than everything else at a sealing. Among themselves their order does not matter.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._ranges: dict[int, list[tuple[int, int]]] = {}

    def take(self, group: int, payload: bytes) -> bool:
        """Put a checkpoint frame off; return False if it is not one of one sound range."""
        if len(payload) != _ONE_RANGE_SIZE or not payload.startswith(_ONE_RANGE):
            return False
        first, last = _PAIR.unpack_from(payload, len(_ONE_RANGE))
        if not 1 <= first <= last:
            return False
        ranges = self._ranges.setdefault(group, [])
        if ranges and first == ranges[-1][1] + 1:
            ranges[-1] = ranges[-1][0], last
        else:
            ranges.append((first, last))
        return True

    def apply(self) -> None:
        """Apply what was put off."""
        for group, ranges in self._ranges.items():
            ranges.sort()
            self._catalog.apply_told(group, ranges)
        self._ranges.clear()
