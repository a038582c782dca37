"""The segment slots: in the region, the list of segments begun but not yet durable.

The committer adds one at each rotation, before it writes a frame there; the syncer takes them off
in order once all their bytes are durable. The list is bounded: a committer that is a full list
ahead of the disk waits.
"""

from __future__ import annotations

from logstore.ring._ring import LAYOUT, Ring
from logstore.ring.layout import SEGMENT_SLOTS


def room(ring: Ring) -> bool:
    """Tell whether one more segment may be begun."""
    return ring.load(LAYOUT["segment_count"]) - ring.load(LAYOUT["segments_synced"]) < SEGMENT_SLOTS


def push(ring: Ring, base_lsn: int) -> None:
    """Announce a segment whose file is there under its final name. Committer only."""
    count = ring.load(LAYOUT["segment_count"])
    ring.store(LAYOUT["segment_base"] + count % SEGMENT_SLOTS * 8, base_lsn)
    # Order: the base before the count that makes it visible.  Pairs with: bases().
    ring.store(LAYOUT["segment_count"], count + 1)


def bases(ring: Ring, first: int) -> list[int]:
    """Return the base LSNs of the segments numbered from `first` on, oldest first."""
    count = ring.load(LAYOUT["segment_count"])
    if count == first:
        return []
    slots = ring.words(LAYOUT["segment_base"], SEGMENT_SLOTS)
    return [slots[number % SEGMENT_SLOTS] for number in range(first, count)]


def newest(ring: Ring) -> int | None:
    """Return the base LSN of the segment being written, if one was begun in this region."""
    count = ring.load(LAYOUT["segment_count"])
    return ring.load(LAYOUT["segment_base"] + (count - 1) % SEGMENT_SLOTS * 8) if count else None


def retire(ring: Ring, number: int) -> None:
    """Say that all segments below `number` are durable. Syncer only."""
    ring.store(LAYOUT["segments_synced"], number)
