"""What tests of cursors do again and again."""

from __future__ import annotations

import logstore

NONE_MORE_S = 0.05


def payloads(cursor: logstore.Cursor, *, advance: bool = True) -> list[bytes]:
    """Take what there is."""
    found = []
    for record in cursor.records(timeout=NONE_MORE_S):
        found.append(bytes(record.payload))
        if advance:
            cursor.advance(record)
    return found


def append(log: logstore.Log | logstore.Group, *records: bytes) -> list[int]:
    """Append records, durably, one by one; return their LSNs."""
    return [log.append(record, durability="synced") for record in records]


def saved(log: logstore.Log, name: str) -> logstore.CursorStatus:
    """Return what is known of a cursor from outside."""
    (found,) = [one for one in log.cursors() if one.name == name]
    return found
