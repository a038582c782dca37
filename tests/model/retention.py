"""What compaction may drop, what it must, and when a revert is refused; by a model. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.model.model import Entry, Model, Transaction


@dataclass(slots=True)
class Place:
    """A durable cursor.

    Attributes:
        group: The group that it reads; None for all.
        saved: The position on disk; compaction keeps what is read from there on.
        position: The position in the memory of who holds it.
        holder: Who does.
        looped_at: The position at which its newest loop began.
        reverts: The newest revert then.
        farthest: Index of the last record of the loop that was advanced past; -1 if none.
        delivered: How many records the loop gave.
    """

    group: str | None
    saved: int
    position: int
    holder: str | None = None
    looped_at: int = 0
    reverts: int = 0
    farthest: int = -1
    delivered: int = 0

    def keeps(self, entry: Entry) -> bool:
        """Tell whether it keeps a record: it lies there, or is to be seen there with others."""
        whole = entry.whole
        mine = self.group in (None, entry.row.group) and not (entry.hidden or entry.dead)
        later = whole is not None and (whole.commit_lsn is None or whole.commit_lsn >= self.saved)
        return entry.row.lsn >= self.saved or (mine and later)


def must_stay(model: Model, entry: Entry, cursors: Iterable[Place]) -> bool:
    """Tell whether compaction has to keep a record."""
    is_open = any(entry.whole is one for one in model.open.values()) and not entry.dead
    return entry.needed or is_open or any(one.keeps(entry) for one in cursors)


def note_dropped(
    model: Model, segments: Sequence[tuple[int, int]], cursors: Sequence[Place]
) -> None:
    """Mark what is gone when these are the sealed segments left, by first LSN and end.

    Raises:
        AssertionError: Something went that has to stay.
    """
    bases = [base for base, _ in segments]
    sealed_end = segments[-1][1] if segments else 0

    def dropped(lsn: int) -> bool:
        at = bisect_right(bases, lsn) - 1
        return lsn < sealed_end and (at < 0 or lsn >= segments[at][1])

    for entry in model.entries.values():
        if not entry.gone and dropped(entry.row.lsn):
            assert not must_stay(model, entry, cursors), f"dropped: {entry.row}"
            entry.gone = True
    for place in model.order:
        if isinstance(place, Transaction) and not place.gone and dropped(place.commit_lsn or 0):
            kept = [part.row for part in place.parts if must_stay(model, part, cursors)]
            assert not kept, f"the commit at {place.commit_lsn} was dropped, but not {kept[:3]}"
            place.gone = True


def is_kept_for_a_reason(
    model: Model, segment: tuple[int, int], cursors: Iterable[Place], readings: bool
) -> bool:
    """Tell whether there is anything for which compaction keeps a segment, not the newest one."""
    base, end = segment

    def here(lsn: int) -> bool:
        return base <= lsn < end

    wholes = [place for place in model.order if isinstance(place, Transaction)]
    # Parts of a commit that was reverted while they were not: kept, though nobody will see them.
    void = {part.row.lsn for one in wholes if one.hidden for part in one.parts if not part.hidden}
    return (
        readings
        or here(model.newest_revert_lsn)
        or any(one.saved < end or one.position < end for one in cursors)
        or any(one.parts and one.parts[0].row.lsn < end for one in model.open.values())
        or any(entry.needed and here(lsn) for lsn, entry in model.entries.items())
        or any(map(here, void))
        or any(
            here(one.commit_lsn or 0) and any(p.needed or p.row.lsn in void for p in one.parts)
            for one in wholes
        )
    )


def revert_is_refused(model: Model, from_lsn: int, group: str | None = None) -> bool | None:
    """Tell whether a revert must be refused; None if only what came to nothing is in its way."""
    behind = [
        entry
        for lsn, entry in model.entries.items()
        if lsn >= from_lsn and group in (None, entry.row.group)
    ]
    if any(one.checkpointed and not (one.hidden or one.dead) for one in behind):
        return True
    nothing = any(one.checkpointed or one.dead for one in behind)
    lost = any(lsn >= from_lsn and group in (None, g) for (g, _), lsn in model.abandoned.items())
    return None if nothing or lost else False
