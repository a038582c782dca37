"""Planning the repair of a damaged log: what can be kept, what is lost. Reads only.

A hole within a segment is filled with abandoned reservations, so that all later frames stay where
they are. A segment that is missing leaves a gap, as compaction does. After a loss the log goes on
in a new segment behind everything that may ever have been written: no LSN and no seq comes twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from logstore.errors import Corruption
from logstore.files import Directory
from logstore.frames import Survey
from logstore.options import Recovery
from logstore.segments import repairs as registry
from logstore.segments.footer import Footer
from logstore.segments.manifest import Manifest
from logstore.segments.remains import Remains, examine
from logstore.segments.repairs import Hole, Repairs, Resumed, merged
from logstore.segments.segment import placed, segment_name
from logstore.segments.sorting import Sorted, linked_end, sort_files
from logstore.segments.tally import Tally

UNKNOWN_REACH: Final = 1 << 36
"""How far the log may have gone in a segment of which nothing is left."""


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """Say what is wrong with a log's files, what a repair would do, and what is lost.

    Attributes:
        manifest: As it was, or made anew.
        rebuilt: Whether it was made anew.
        problems: What is wrong, each with its place. If there are none, nothing is to be done.
        kept: The segments that stay, in order, each with its holes.
        aside: Names of files that go to the quarantine as they are.
        holes: What of the log is lost and was not known to be lost before.
        lost: Seqs that are lost, by group id, as ranges; at most so many records.
        names: Names of groups, by id.
        next_seqs: By group id, a seq that certainly no record has or had, nor any higher one.
        resume_lsn: Where the log goes on, in a new segment; None if nothing was lost.
        epoch: That segment's.
        known: What was known to be lost before.
    """

    manifest: Manifest
    rebuilt: bool
    problems: tuple[Corruption, ...]
    kept: tuple[Remains, ...]
    aside: tuple[str, ...]
    holes: tuple[Hole, ...]
    lost: dict[int, tuple[tuple[int, int], ...]]
    names: dict[int, str]
    next_seqs: dict[int, int]
    resume_lsn: int | None
    epoch: int
    known: Repairs

    @property
    def lost_records(self) -> dict[str, int]:
        """How many records each group has lost, at most, by its name."""
        return {
            self.names.get(group, f"#{group}"): sum(last - first + 1 for first, last in ranges)
            for group, ranges in sorted(self.lost.items())
        }


def plan_repair(
    directory: Directory, recovery: Recovery = "salvage", *, synced_lsn: int = 0
) -> RepairPlan:
    """Look through a whole log and say what a repair would do. Nothing is changed.

    Args:
        directory: The data directory; no service runs for it.
        recovery: "salvage" keeps everything that is sound; "tail" accepts only the loss of the
            log's end, from the first damage behind the sealed segments on.
        synced_lsn: What a region of this log and this boot says was durable; 0 if there is none.

    Raises:
        Corruption: There is nothing to repair, or the damage is not at the end, with "tail".
        IncompatibleFormat, ReadFailed, PermissionDenied: Some of it cannot be judged.
    """
    known = registry.load(directory)
    found = sort_files(directory, known.unfinished)
    remains = _examined(directory, found)
    problems = [*found.problems, *_damage(found, remains)]
    last = _last_end(remains[-1]) if remains else found.manifest.sealed_end_lsn
    reach = max([last, synced_lsn, *(one.proof_lsn for one in remains)])
    if reach > last:
        problems.append(_too_short(directory, remains, last, reach))
    if recovery == "tail":
        _require_tail_only(found, remains, problems)
    holes = _holes(found, remains)
    if problems:
        reach = max([reach, *found.headless.values(), *(one.until_lsn for one in holes)])
        # An earlier attempt, which put the segment aside, knew how far it reached.
        if found.active_gone and known.unfinished is None:
            reach += UNKNOWN_REACH
        holes += [Hole(last, reach)] if reach > last else []
    return _plan(found, remains, problems, merged(holes), recovery, known, reach)


def _plan(
    found: Sorted,
    remains: list[Remains],
    problems: list[Corruption],
    holes: tuple[Hole, ...],
    recovery: Recovery,
    known: Repairs,
    reach: int,
) -> RepairPlan:
    kept, aside = [*remains], list(found.aside)
    if kept:
        kept[-1] = replace(kept[-1], end_lsn=_last_end(kept[-1]))
    if recovery == "tail" and holes:
        cut_lsn = holes[0].from_lsn
        holes = (Hole(cut_lsn, max(reach, holes[-1].until_lsn)),)
        kept = [cut(one, cut_lsn) for one in remains if one.base_lsn < cut_lsn]
        aside += [one.name for one in remains if one.base_lsn >= cut_lsn]
    unfinished = known.unfinished
    tally = Tally(remains, holes)
    for lost in known.lost if unfinished is not None else ():
        tally.remember(lost.group, lost.first_seq, lost.last_seq)
    resume_lsn = unfinished.resume_lsn if unfinished is not None else None
    if holes:
        resume_lsn = max(reach, resume_lsn or 0)
    if resume_lsn:
        # The log goes on where they begin, or behind: their names must be free.
        aside += [one.name for one in kept if one.end_lsn == one.base_lsn]
        kept = [one for one in kept if one.end_lsn > one.base_lsn]
    epochs = [found.manifest.epoch, *(one.header.epoch for one in remains)]
    return RepairPlan(
        manifest=found.manifest,
        rebuilt=found.rebuilt,
        problems=tuple(problems),
        kept=tuple(kept),
        aside=tuple(aside),
        holes=holes,
        lost={group: tuple(ranges) for group, ranges in tally.lost.items()},
        names=tally.names,
        next_seqs=tally.next_seqs,
        resume_lsn=resume_lsn,
        epoch=max(epochs) + 1 if unfinished is None else unfinished.epoch,
        known=known,
    )


def cut(one: Remains, lsn: int) -> Remains:
    """Return a segment without anything from `lsn` on."""
    if one.end_lsn <= lsn:
        return one
    runs = tuple(run for run in one.runs if run.end_lsn <= lsn)
    return replace(one, runs=runs, holes=(), end_lsn=lsn, footer=None)


def _examined(directory: Directory, found: Sorted) -> list[Remains]:
    sealed = {one.base_lsn: one.end_lsn for one in found.manifest.sealed}
    remains = []
    following = None
    for base in sorted(found.usable, reverse=True):
        header, name = found.usable[base]
        end = sealed.get(base)
        if end is None:
            end = linked_end(header, following)
        one = examine(directory, header, name, end)
        remains.append(one)
        following = header
    remains.reverse()
    return remains


def _last_end(one: Remains) -> int:
    """Return where the last segment ends: before a batch that has no end."""
    if one.footer is None and one.runs and one.runs[-1].end_lsn == one.end_lsn:
        return one.runs[-1].batch_lsn
    return one.end_lsn


def _damage(found: Sorted, remains: list[Remains]) -> list[Corruption]:
    listed = {one.base_lsn for one in found.manifest.sealed}
    problems = []
    last = remains[-1] if remains else None
    for one in remains:
        # Behind the last proof, at the end of the log, bad frames are only torn.
        torn = one is last and one.base_lsn not in listed and not found.manifest.clean
        for hole in one.holes:
            if not torn or hole.from_lsn < one.proof_lsn:
                problems.append(_at(one, "the frame here is not what was written", hole.from_lsn))
        if one.base_lsn in listed and one.footer is None:
            problems.append(_at(one, "the footer of this segment is damaged or gone", one.end_lsn))
    return problems


def _at(one: Remains, text: str, lsn: int) -> Corruption:
    return placed(Corruption(text), one.header, lsn)


def _too_short(
    directory: Directory, remains: list[Remains], end_lsn: int, reach: int
) -> Corruption:
    text = f"the log should go on here, up to LSN {reach} at least"
    if remains:
        return _at(remains[-1], text, end_lsn)
    return Corruption(text, path=directory.path, segment=segment_name(end_lsn), lsn=end_lsn)


def _require_tail_only(found: Sorted, remains: list[Remains], problems: list[Corruption]) -> None:
    frontier = found.manifest.sealed_end_lsn
    for problem in problems:
        if found.rebuilt or problem.lsn is None or problem.lsn < frontier:
            raise problem


def _holes(found: Sorted, remains: list[Remains]) -> list[Hole]:
    holes = [hole for one in remains for hole in one.holes]
    holes += [Hole(one.base_lsn, one.end_lsn) for one in found.missing]
    if found.rebuilt:
        # Of what is not there at all, nobody can tell whether compaction has dropped it.
        bases = [one.base_lsn for one in remains]
        for base, end in found.headless.items():
            if base not in bases:
                holes.append(
                    Hole(base, min([after for after in bases if after > base], default=end))
                )
        # But compaction keeps the one before a segment that is not sealed.
        for before, one in pairwise(remains):
            if one.footer is None and before.end_lsn < one.base_lsn:
                holes.append(Hole(before.end_lsn, one.base_lsn))
        return holes
    frontier = found.manifest.sealed_end_lsn
    end = frontier
    for one in remains:
        if one.base_lsn >= frontier:
            if one.base_lsn > end:
                holes.append(Hole(end, one.base_lsn))
            end = one.end_lsn
    return holes


def footer_is_right(one: Remains, survey: Survey) -> bool:
    """Tell whether a segment's own footer speaks of just these frames."""
    footer: Footer | None = one.footer
    return footer is not None and (footer.end_lsn, footer.frames_digest) == (
        survey.end_lsn,
        survey.digest,
    )


def after(plan: RepairPlan) -> Repairs:
    """Return what is known to be lost once the repair has been begun, and not finished."""
    lost = [*plan.known.lost]
    for group, ranges in plan.lost.items():
        lost += [registry.Lost(plan.epoch, group, first, last) for first, last in ranges]
    resume = plan.resume_lsn
    return Repairs(
        holes=merged([*plan.known.holes, *plan.holes]),
        lost=tuple(sorted(set(lost))),
        resumed=plan.known.resumed,
        unfinished=Resumed(plan.epoch, resume if resume is not None else 0),
    )
