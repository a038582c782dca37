"""Which sealed segments anybody still needs, and who; the rest may be dropped. Pure.

A segment may go when every record in it is checkpointed, hidden by a revert, or of a
transaction that came to nothing; when no transaction that is open has parts in it; when no part
that it commits is still needed elsewhere; when no pin lies before its end; and when it has no part
of a transaction that is committed behind a reader's pin, where the reader will see it. It may lie
in the middle of the log. The newest sealed segment never goes: its footer knows all groups.

A revert that hides a commit makes all parts of the transaction pointless. That is known from the
segment with the commit, so this stays as long as one with any of the parts does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

from logstore.payloads import EVERY_GROUP
from logstore.segments.catalog import Catalog, Transaction
from logstore.segments.catalog_sections import committed_in
from logstore.segments.footer import Footer, GroupRange
from logstore.segments.manifest import Manifest, SealedSegment
from logstore.segments.ranges import RangeSet


class Pin(NamedTuple):
    """Somebody needs the log from an LSN on: every segment that ends behind it stays.

    Attributes:
        lsn: From where on.
        who: Who it is.
        reads: It is a reader, to whom transactions are shown where their commits are.
    """

    lsn: int
    who: str
    reads: bool = True


class Reason(Enum):
    """Why a segment stays."""

    RECORDS = "records that are not checkpointed"
    OPEN_TRANSACTION = "parts of a transaction that is open"
    COMMIT = "the commit of a transaction whose parts are needed"
    PIN = "somebody reads from here or before"
    UNREAD = "parts of a transaction that somebody has not come to"
    REVERT = "the newest revert"
    NEWEST = "the newest sealed segment"


@dataclass(frozen=True, slots=True)
class Hold:
    """Say what keeps a segment.

    Attributes:
        reason: Which of the rules.
        group: The group of the records, for `RECORDS`.
        seq: The first of them that is needed, for `RECORDS`.
        lsn: The transaction's id, the pin, or the revert frame, for the others.
        who: Whose pin it is, for `PIN` and `UNREAD`.
    """

    reason: Reason
    group: int | None = None
    seq: int | None = None
    lsn: int | None = None
    who: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Say what keeps one sealed segment; if nothing does, it may be dropped."""

    base_lsn: int
    end_lsn: int
    holds: tuple[Hold, ...]

    @property
    def droppable(self) -> bool:
        """Whether nobody needs it."""
        return not self.holds


@dataclass(frozen=True, slots=True)
class Compaction:
    """Say what is to be done: save the manifest, then unlink the segments.

    Attributes:
        manifest: Without them. It starts where the first segment begins that stays.
        dropped: The segments to unlink.
    """

    manifest: Manifest
    dropped: tuple[SealedSegment, ...]


@dataclass(frozen=True, slots=True)
class Looks:
    """How to look into segments that a revert hides in part.

    Attributes:
        first_seq_from: Gives the lowest seq of a group that is not before an LSN in its segment
            (`Finder.first_seq_from`).
        voided: Gives the seqs, by group, of parts of transactions that began before an LSN in its
            segment and are committed behind it (`VoidedParts.between`).
    """

    first_seq_from: Callable[[int, int], int]
    voided: Callable[[int, int, int], Mapping[int, RangeSet]]


def judge(
    footers: Sequence[Footer], catalog: Catalog, pins: Collection[Pin], looks: Looks
) -> list[Verdict]:
    """Judge the sealed segments of a log.

    Whoever drops segments by this must have the catalog of a position up to which the log is
    durable: what it says must not be undone by a power loss.

    Args:
        footers: Those of all sealed segments that are left, in order.
        catalog: What the log means at a position at or behind the last of them.
        pins: Who reads, and from where.
        looks: Asked only about segments that a revert hides in part.

    Returns:
        A verdict for each, in order.
    """
    needed: dict[int, RangeSet] = {}
    verdicts = []
    committed = [(footer, one) for footer in footers for one in committed_in(footer)]
    void = [(footer, one) for footer, one in committed if catalog.is_void(one.id, one.commit_lsn)]
    # Of those committed in segments that are not sealed the catalog knows.
    late = [one for one in catalog.committed.values() if catalog.is_void(one.id, one.commit_lsn)]
    gone = _seqs_of([*(one for _, one in void), *late])
    staying: list[Footer] = []
    unread = _unread([*(one for _, one in committed), *catalog.committed.values()], catalog, pins)
    for footer in footers:
        holds = [*_records(footer, catalog, looks, gone, needed)]
        holds += _open_transactions(footer, catalog)
        holds += _commits(footer, needed)
        holds += _void_commits([one for place, one in void if place is footer], staying)
        holds += [Hold(Reason.PIN, lsn=p.lsn, who=p.who) for p in pins if p.lsn < footer.end_lsn]
        holds += [
            Hold(Reason.UNREAD, lsn=transaction.id, who=pin.who)
            for transaction, pin in unread
            if _has_parts(footer, transaction)
        ]
        revert_lsn = catalog.newest_revert_lsn
        if catalog.hidden and footer.base_lsn <= revert_lsn < footer.end_lsn:
            holds.append(Hold(Reason.REVERT, lsn=revert_lsn))
        verdicts.append(Verdict(footer.base_lsn, footer.end_lsn, tuple(holds)))
        if holds:
            staying.append(footer)
    if verdicts:
        newest = verdicts[-1]
        verdicts[-1] = replace(newest, holds=(*newest.holds, Hold(Reason.NEWEST)))
    return verdicts


def compaction(manifest: Manifest, verdicts: Iterable[Verdict]) -> Compaction:
    """Take the segments that may be dropped out of the manifest."""
    droppable = {verdict.base_lsn for verdict in verdicts if verdict.droppable}
    dropped = tuple(one for one in manifest.sealed if one.base_lsn in droppable)
    kept = tuple(one for one in manifest.sealed if one.base_lsn not in droppable)
    start_lsn = manifest.start_lsn
    if dropped and kept:
        start_lsn = max(start_lsn, kept[0].base_lsn)
    return Compaction(replace(manifest, sealed=kept, start_lsn=start_lsn), dropped)


def _seqs_of(transactions: Iterable[Transaction]) -> dict[int, RangeSet]:
    found: dict[int, RangeSet] = {}
    for transaction in transactions:
        for group, seqs in transaction.seqs.items():
            found.setdefault(group, RangeSet()).update(seqs)
    return found


def _records(
    footer: Footer,
    catalog: Catalog,
    looks: Looks,
    gone: Mapping[int, RangeSet],
    needed: dict[int, RangeSet],
) -> Iterable[Hold]:
    """Give a hold for each group with records that are needed, and add their seqs to `needed`."""
    for group in footer.groups:
        if not group.record_count:
            continue
        seqs = _kept_seqs(footer, group, catalog, looks)
        if group.id in gone:
            seqs = seqs.difference(gone[group.id])
        if seqs:
            first_seq, _ = next(iter(seqs))
            needed.setdefault(group.id, RangeSet()).update(seqs)
            yield Hold(Reason.RECORDS, group=group.id, seq=first_seq)


def _kept_seqs(footer: Footer, group: GroupRange, catalog: Catalog, looks: Looks) -> RangeSet:
    """Return the seqs in a segment that are neither checkpointed nor reverted."""
    seqs = catalog.checkpointed(group.id).gaps(group.first_seq, group.last_seq)
    for scope, from_lsn, until_lsn in catalog.hidden:
        if scope not in (EVERY_GROUP, group.id) or not seqs:
            continue
        if from_lsn >= footer.end_lsn or until_lsn <= footer.base_lsn:
            continue
        first, last = group.first_seq, group.last_seq
        if from_lsn > footer.base_lsn:
            first = looks.first_seq_from(group.id, from_lsn)
        if until_lsn < footer.end_lsn:
            last = looks.first_seq_from(group.id, until_lsn) - 1
        if first <= last:
            seqs = seqs.difference(RangeSet([(first, last)]))
        if scope == EVERY_GROUP and from_lsn > footer.base_lsn and seqs:
            end_lsn = min(until_lsn, footer.end_lsn)
            parts = looks.voided(footer.base_lsn, from_lsn, end_lsn)
            seqs = seqs.difference(parts.get(group.id, RangeSet()))
    return seqs


def _open_transactions(footer: Footer, catalog: Catalog) -> Iterable[Hold]:
    for transaction in catalog.open.values():
        if _has_parts(footer, transaction):
            yield Hold(Reason.OPEN_TRANSACTION, lsn=transaction.id)


def _unread(
    committed: Iterable[Transaction], catalog: Catalog, pins: Iterable[Pin]
) -> list[tuple[Transaction, Pin]]:
    """Give the transactions that began before a reader's pin and are committed behind it."""
    readers = [pin for pin in pins if pin.reads]
    return [
        (one, pin)
        for one in ({one.id: one for one in committed}.values() if readers else ())
        for pin in readers
        if one.id < pin.lsn <= one.commit_lsn and not catalog.is_void(one.id, one.commit_lsn)
    ]


def _commits(footer: Footer, needed: dict[int, RangeSet]) -> Iterable[Hold]:
    """Give a hold for each commit without which parts that are needed would be invisible.

    Parts in the segment itself hold it anyway; those that begin here and are committed here too.
    """
    for transaction in committed_in(footer):
        for group, seqs in transaction.seqs.items():
            if group in needed and seqs.intersection(needed[group]):
                yield Hold(Reason.COMMIT, lsn=transaction.id)
                break


def _void_commits(transactions: Iterable[Transaction], staying: Iterable[Footer]) -> Iterable[Hold]:
    """Give a hold for each commit that tells of parts in an earlier segment that they are void."""
    for transaction in transactions:
        if any(_has_parts(footer, transaction) for footer in staying):
            yield Hold(Reason.COMMIT, lsn=transaction.id)


def _has_parts(footer: Footer, transaction: Transaction) -> bool:
    return any(
        group.record_count and transaction.seqs[group.id].overlaps(group.first_seq, group.last_seq)
        for group in footer.groups
        if group.id in transaction.seqs
    )
