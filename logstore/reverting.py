"""Reverting: a frame in the log that hides what lies before it, back to a given place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logstore.errors import InvalidArgument, InvalidLSN, LimitReached, NotFound
from logstore.payloads import EVERY_GROUP, Interval, encode_revert
from logstore.ring._ring import LAYOUT
from logstore.ring.client import SLICE_S
from logstore.ring.layout import Level

if TYPE_CHECKING:
    from logstore.reading import LogReader
    from logstore.ring.client import Client
    from logstore.segments.catalog import Catalog
    from logstore.visible import Hidden


def require_revertable(client: Client, lsn: int) -> None:
    """Refuse an LSN that is not inside the log.

    Raises:
        InvalidLSN: It is beyond the end.
        NotFound: It is below the oldest record.
    """
    if lsn > client.ring.load(LAYOUT["head"]):
        raise InvalidLSN("nothing is appended there yet", lsn=lsn)
    oldest = client.ring.load(LAYOUT["start"])
    if lsn < oldest:
        raise NotFound(f"the oldest record is at LSN {oldest}", lsn=lsn)


def require_not_checkpointed(catalog: Catalog, number: int, name: str, seq: int) -> None:
    """Refuse to revert records that somebody has built on.

    Raises:
        InvalidArgument: A record of the group at or after `seq` is checkpointed.
    """
    newest = catalog.told.get(number, 0)
    if newest >= seq:
        raise InvalidArgument(
            f"record {newest} of group {name!r} is checkpointed: what was built on it cannot be "
            f"taken back; revert from seq {newest + 1} on"
        )


def require_no_checkpoint_from(client: Client, reading: LogReader, lsn: int) -> None:
    """Refuse to revert to an LSN behind which a record of any group is checkpointed.

    Raises:
        InvalidArgument: One is.
    """
    if lsn == client.ring.load(LAYOUT["head"]):
        return
    client.await_level(Level.WRITTEN, lsn)
    catalog = reading.catalog(Level.WRITTEN)
    for number, name in enumerate(reading.raw.names()):
        if number in catalog.told:
            first_seq = reading.finder.first_seq_from(number, lsn)
            require_not_checkpointed(catalog, number, name, first_seq)


def revert(client: Client, reading: LogReader, from_lsn: int, scope: int = EVERY_GROUP) -> int:
    """Hide what a scope has at or after `from_lsn` and before now; durable on return.

    Returns:
        The LSN of the revert frame: what is appended behind it is kept.
    """
    ring = client.ring
    with client.duties.reverting():
        hidden = reading.hidden
        hidden.refresh()
        while True:
            payload = _payload(client, hidden, from_lsn, scope)
            lsn = ring.revert(payload, hidden.newest_lsn, SLICE_S)
            if lsn >= 0:
                break
            client.look_around()
            if client.state_stops_appends():
                raise client.state_error()
            hidden.refresh()
    client.await_level(Level.SYNCED, lsn)
    return lsn


def _payload(client: Client, hidden: Hidden, from_lsn: int, scope: int) -> bytes:
    """Return what a revert frame says: what was hidden already, and what it hides itself."""
    oldest = client.ring.load(LAYOUT["start"])
    kept = [
        earlier
        for earlier in hidden.intervals
        if earlier.until_lsn > oldest and not _covered(earlier, from_lsn, scope)
    ]
    # The last interval ends at the frame itself, whose LSN nobody knows yet: 0 says so.
    payload = encode_revert((*kept, Interval(scope, from_lsn, 0)))
    if len(payload) > client.ring.largest_payload:
        raise LimitReached(
            f"{len(kept)} separate ranges of the log are reverted already, and the ring takes no "
            "longer list: revert back to an earlier place, or give the service a larger ring_size"
        )
    return payload


def _covered(earlier: Interval, from_lsn: int, scope: int) -> bool:
    """Tell whether the new interval, which ends later, hides all that an earlier one does."""
    return earlier.from_lsn >= from_lsn and scope in (EVERY_GROUP, earlier.scope)
