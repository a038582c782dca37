"""What is written where a log goes on behind a loss: names, reverts, seqs that are gone. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from logstore.format import NO_CLAIM, Kind, SegmentHeader, span
from logstore.frames import encode
from logstore.payloads import (
    EVERY_GROUP,
    CheckpointRanges,
    Interval,
    encode_checkpoint,
    encode_revert,
)
from logstore.segments.catalog_sections import catalog_of
from logstore.segments.footer import Footer
from logstore.segments.repair import RepairPlan


def frames_behind(
    plan: RepairPlan, header: SegmentHeader, previous: Footer | None
) -> Iterator[bytes]:
    """Give the frames of the segment with which a log goes on behind a loss.

    Args:
        plan: What is lost.
        header: That segment's.
        previous: The footer of the segment before it.
    """
    catalog = catalog_of(previous)
    lsn = header.base_lsn
    frames = []
    if catalog.newest_revert_lsn:
        # The frame that listed what is hidden may be lost, and readers look it up.
        hidden = [*catalog.hidden, Interval(EVERY_GROUP, lsn, 0)]
        frames.append((encode_revert(hidden), 0, 0, Kind.REVERT))
    for group, name in plan.names.items():
        known = catalog.groups.get(group)
        if group and (known is None or known.name != name) and name != f"#{group}":
            frames.append((name.encode(), group, 0, Kind.GROUP_NAME))
    for group, next_seq in plan.next_seqs.items():
        # At least one, so that there is something in the segment.
        frames.append((b"", group, next_seq, Kind.ABORT))
    for group, ranges in plan.lost.items():
        payload = encode_checkpoint(CheckpointRanges(ranges))
        frames.append((payload, group, 0, Kind.CHECKPOINT))
    for payload, group, seq, kind in frames or [(b"", 0, 0, Kind.ABORT)]:
        yield encode(payload, lsn, seq, group, kind, 0, NO_CLAIM, header.salt)
        lsn += span(len(payload))
