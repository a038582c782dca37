"""Checkpoints: saying which records of a group nobody needs any more, and replaying the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from logstore.errors import InvalidArgument
from logstore.frames import CHECKPOINT, Record
from logstore.payloads import CheckpointCommands, CheckpointRanges, encode_checkpoint
from logstore.ring._ring import LAYOUT
from logstore.ring.layout import Level, group_offset
from logstore.segments.ranges import RangeSet
from logstore.transaction import Transaction

if TYPE_CHECKING:
    from logstore.group import Group
    from logstore.segments.catalog import Catalog

Commands: TypeAlias = int | Record | Transaction | Sequence[Record]
"""What holds several commands: a record, by itself or its seq, or a transaction's records."""

RANGES_PER_FRAME: Final = 1000
_TOLD_EVERY: Final = 1024


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """Say how far a group is checkpointed.

    Attributes:
        group: The group's name.
        ranges: Closed ranges of seqs that nobody needs any more, merged, in order.
        partial: First seq of a record or transaction to (done command indexes as ranges, total).
    """

    group: str
    ranges: tuple[tuple[int, int], ...]
    partial: dict[int, tuple[tuple[tuple[int, int], ...], int]]

    def __contains__(self, seq: object) -> bool:
        return isinstance(seq, int) and any(first <= seq <= last for first, last in self.ranges)


def state_of(group: Group, catalog: Catalog) -> Checkpoints:
    """Take one group's checkpoints out of a catalog."""
    partial = {
        key: (tuple(one.done), one.total)
        for (number, key), one in catalog.partial.items()
        if number == group.id
    }
    return Checkpoints(group.name, tuple(catalog.checkpointed(group.id)), partial)


def require_ranges(group: Group, ranges: Iterable[tuple[int, int]]) -> RangeSet:
    """Merge closed ranges of seqs that were all given out.

    Raises:
        InvalidArgument: One is no pair, backwards, below 1 or beyond the group's end.
    """
    newest = group._ring.load(group_offset(group.id, "seq"))
    merged = RangeSet()
    for one in ranges:
        try:
            first, last = one
        except (TypeError, ValueError):
            raise InvalidArgument(f"a range is a pair (first, last), not {one!r}") from None
        if not isinstance(first, int) or not isinstance(last, int) or not 1 <= first <= last:
            raise InvalidArgument(f"a range is (first, last) with 1 <= first <= last, not {one!r}")
        if last > newest:
            raise InvalidArgument(
                f"{one!r} reaches beyond the group's end: its newest seq is {newest}"
            )
        merged.add(first, last)
    return merged


def checkpoint_ranges(group: Group, ranges: RangeSet) -> int:
    """Append the ranges as checkpoint frames; return the LSN of the last one, 0 if none."""
    pairs = list(ranges)
    lsn = 0
    for start in range(0, len(pairs), RANGES_PER_FRAME):
        piece = CheckpointRanges(tuple(pairs[start : start + RANGES_PER_FRAME]))
        lsn = group._ring.append(encode_checkpoint(piece), None, group.id, CHECKPOINT)
    return lsn


def checkpoint_commands(group: Group, what: Commands, done: Iterable[int], total: int) -> int:
    """Append which commands of a record or transaction are done; return the frame's LSN.

    Raises:
        InvalidArgument: An index is out of range, or `what` has no record in this group.
    """
    seqs = _seqs_of(group, what)
    if isinstance(total, bool) or not isinstance(total, int) or total < 1:
        raise InvalidArgument(f"total is the number of commands, from 1 on, not {total!r}")
    indexes = RangeSet()
    for index in done:
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < total:
            raise InvalidArgument(f"a command's index is from 0 to {total - 1}, not {index!r}")
        indexes.add(index, index)
    key = next(iter(seqs))[0]
    said = CheckpointCommands(key, total, tuple(indexes), tuple(seqs))
    return group._ring.append(encode_checkpoint(said), None, group.id, CHECKPOINT)


def _seqs_of(group: Group, what: Commands) -> RangeSet:
    if isinstance(what, Transaction):
        seqs = what.seqs(group.id)
        if what.lsn is None:
            raise InvalidArgument("only a committed transaction can be checkpointed")
    elif isinstance(what, int):
        seqs = require_ranges(group, [(what, what)])
    else:
        records = [what] if isinstance(what, Record) else list(what)
        seqs = require_ranges(group, ((r.seq, r.seq) for r in records if r.group == group.name))
    if not seqs:
        raise InvalidArgument(f"there is no record of group {group.name!r} in it")
    return seqs


def replay(
    group: Group,
    apply: Callable[[Record], object],
    *,
    on_checkpoints: Callable[[Checkpoints], object] | None,
    progress: Callable[[int, int], object] | None,
) -> int:
    """Apply every committed, kept, not checkpointed record of a group; see `Log.replay`."""
    limit = group._ring.load(LAYOUT["synced"])
    catalog = group.log._reading.catalog(Level.SYNCED)
    if on_checkpoints is not None:
        on_checkpoints(state_of(group, catalog))
    done = catalog.checkpointed(group.id)
    start = group.log._reading.oldest_needed(group, done)
    records = group.log.read(start, limit, group=group.name)
    return apply_needed(records, done, apply, (start, limit), progress)


def apply_needed(
    records: Iterable[Record],
    done: RangeSet,
    apply: Callable[[Record], object],
    reach: tuple[int, int],
    progress: Callable[[int, int], object] | None,
) -> int:
    """Apply the records of a group whose seqs are not in `done`; return how many.

    Args:
        records: In the order of the log.
        done: Seqs that are checkpointed.
        apply: Called with each of the others.
        reach: From which LSN to which they lie.
        progress: Called now and then with (bytes done, bytes in all).
    """
    start, limit = reach
    applied = 0
    for passed, record in enumerate(records, 1):
        if record.seq not in done:
            apply(record)
            applied += 1
        if progress is not None and passed % _TOLD_EVERY == 0:
            progress(record.lsn - start, limit - start)
    if progress is not None:
        progress(limit - start, limit - start)
    return applied
