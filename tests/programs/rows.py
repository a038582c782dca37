"""Records as plain values: comparable, picklable, and short to print."""

from __future__ import annotations

from typing import NamedTuple

from logstore import Record


class Row(NamedTuple):
    """One record."""

    lsn: int
    group: str
    seq: int
    kind: int
    payload: bytes


def row_of(record: Record) -> Row:
    """Return a record's row."""
    return Row(record.lsn, record.group, record.seq, record.kind, bytes(record.payload))
