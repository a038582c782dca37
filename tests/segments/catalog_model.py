"""What a log means, by plain sets: the model that catalogs are compared with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from logstore.format import Kind
from logstore.payloads import (
    EVERY_GROUP,
    CheckpointCommands,
    CheckpointRanges,
    Commit,
    Interval,
    encode_checkpoint,
    encode_commit,
    encode_part,
    encode_revert,
    encode_txn_abort,
)
from logstore.segments.catalog import Catalog
from logstore.segments.ranges import RangeSet
from tests.segments.small_log import SmallLog

Numbers = dict[int, set[int]]


@dataclass
class Open:
    """A transaction of the model."""

    seqs: Numbers = field(default_factory=dict)
    last_lsn: int = 0
    count: int = 0


@dataclass
class LogModel:
    """Put frames into a small log, and remember what they mean."""

    log: SmallLog
    last_seq: dict[int, int] = field(default_factory=lambda: {0: 0})
    names: dict[int, str] = field(default_factory=lambda: {0: "default"})
    checkpoints: Numbers = field(default_factory=dict)
    told: dict[int, int] = field(default_factory=dict)
    partial: dict[tuple[int, int], tuple[int, set[int], set[int]]] = field(default_factory=dict)
    open: dict[int, Open] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    hidden: list[Interval] = field(default_factory=list)
    newest_revert_lsn: int = 0
    where: dict[tuple[int, int], int] = field(default_factory=dict)
    commits: dict[int, int] = field(default_factory=dict)
    parts: dict[int, set[tuple[int, int]]] = field(default_factory=dict)
    abandoned: set[tuple[int, int]] = field(default_factory=set)

    def data(self, group: int, size: int = 4) -> int:
        lsn = self.log.put(bytes(size), group=group)
        self._taken(group, lsn)
        return lsn

    def part(self, transaction: int, group: int) -> int:
        """Append a part; of a new transaction if it is 0."""
        lsn = self.log.end_lsn
        number = transaction or lsn
        self.log.put(encode_part(number, b"x"), kind=Kind.TXN_PART, group=group)
        seq = self._taken(group, lsn)
        if not transaction:
            self.open[lsn] = Open()
        if number not in self.open:
            self._done(group, {seq})
            return number
        one = self.open[number]
        one.seqs.setdefault(group, set()).add(seq)
        one.last_lsn = lsn
        one.count += 1
        return number

    def commit(self, transaction: int) -> None:
        is_open = transaction in self.open
        one = self.open.pop(transaction, Open(last_lsn=transaction, count=1))
        payload = encode_commit(Commit(transaction, one.last_lsn, one.count))
        lsn = self.log.put(payload, kind=Kind.TXN_COMMIT)
        if is_open:  # a second commit changes nothing
            self.commits[transaction] = lsn
            self.parts[transaction] = {(g, seq) for g, seqs in one.seqs.items() for seq in seqs}

    def abort(self, transaction: int) -> None:
        self.log.put(encode_txn_abort(transaction), kind=Kind.TXN_ABORT)
        self._discard(transaction)

    def checkpoint(self, group: int, ranges: tuple[tuple[int, int], ...]) -> None:
        payload = encode_checkpoint(CheckpointRanges(ranges))
        self.log.put(payload, kind=Kind.CHECKPOINT, group=group)
        self._told(group, numbers(ranges))

    def commands(self, group: int, said: CheckpointCommands) -> None:
        self.log.put(encode_checkpoint(said), kind=Kind.CHECKPOINT, group=group)
        covered = numbers(said.covered)
        if covered <= self.checkpoints.get(group, set()):
            return
        _, done, before = self.partial.get((group, said.key), (0, set(), set()))
        done, covered = done | numbers(said.done), covered | before
        self.partial[group, said.key] = (said.total, done, covered)
        if done >= set(range(said.total)):
            del self.partial[group, said.key]
            self._told(group, covered)

    def revert(self, scope: int, from_lsn: int) -> None:
        lsn = self.log.end_lsn
        payload = encode_revert([*self.hidden, Interval(scope, from_lsn, 0)])
        self.log.put(payload, kind=Kind.REVERT)
        self.hidden.append(Interval(scope, from_lsn, lsn))
        self.newest_revert_lsn = lsn
        self.discard_all()

    def name(self, group: int, name: str) -> None:
        self.log.put(name.encode(), kind=Kind.GROUP_NAME, group=group)
        self.names[group] = name
        self.last_seq.setdefault(group, 0)

    def abandon(self, group: int, count: int) -> None:
        """Leave a reservation of several seqs to the committer, which knows of the first."""
        lsn = self.log.put(bytes(8), kind=Kind.ABORT, group=group)
        self._lost(group, self._taken(group, lsn), 1)
        self.log.seq[group] += count - 1

    def rotate(self, epoch: int) -> None:
        """Seal the segment and begin the next, of the same epoch or a later one."""
        assert self.log.header is not None
        if self.log.end_lsn == self.log.header.base_lsn:
            return  # An empty segment is never sealed.
        self.log.seal()
        self.log.save(epoch=self.log.manifest.epoch + epoch)
        self.log.begin()
        if epoch:
            self.discard_all()

    def discard_all(self) -> None:
        for transaction in list(self.open):
            self._discard(transaction)

    def _discard(self, transaction: int) -> None:
        for group, seqs in self.open.pop(transaction, Open()).seqs.items():
            self._done(group, seqs)

    def _taken(self, group: int, lsn: int) -> int:
        """Note the seq that a frame got; between the one before and it are only lost ones."""
        seq = self.log.seq[group]
        before = self.last_seq.get(group, 0)
        if before + 1 < seq:
            self._lost(group, before + 1, seq - before - 1)
        self.names.setdefault(group, f"#{group}")
        self.last_seq[group] = seq
        self.where[group, seq] = lsn
        return seq

    def _lost(self, group: int, first: int, count: int) -> None:
        seqs = set(range(first, first + count))
        self.abandoned |= {(group, seq) for seq in seqs}
        for seq in seqs:
            self.where.pop((group, seq), None)
        self._done(group, seqs)

    def _done(self, group: int, seqs: set[int]) -> None:
        self.checkpoints.setdefault(group, set()).update(seqs)
        for key, (_, _, covered) in list(self.partial.items()):
            if key[0] == group and covered <= self.checkpoints[group]:
                del self.partial[key]

    def _told(self, group: int, seqs: set[int]) -> None:
        self._done(group, seqs)
        self.told[group] = max(seqs | {self.told.get(group, 0)})

    def needed(self, base_lsn: int, end_lsn: int) -> set[tuple[int, int]]:
        """Return the records of a stretch of the log, by group and seq, that somebody needs."""
        return {
            (group, seq)
            for (group, seq), lsn in self.where.items()
            if base_lsn <= lsn < end_lsn
            and seq not in self.checkpoints.get(group, set())
            and not any(
                one.scope in (EVERY_GROUP, group) and one.from_lsn <= lsn < one.until_lsn
                for one in self.hidden
            )
        }

    def facts(self) -> dict[str, object]:
        """Say all that a catalog should say."""
        return {
            "groups": {g: (self.names[g], seq) for g, seq in self.last_seq.items()},
            "checkpoints": {g: seqs for g, seqs in self.checkpoints.items() if seqs},
            "told": self.told,
            "partial": self.partial,
            "open": {n: (o.seqs, o.last_lsn, o.count) for n, o in self.open.items()},
            "hidden": self.hidden,
            "newest_revert_lsn": self.newest_revert_lsn,
        }


def facts_of(catalog: Catalog) -> dict[str, object]:
    """Say the same of a catalog."""
    return {
        "groups": {n: (g.name, g.last_seq) for n, g in catalog.groups.items()},
        "checkpoints": {g: numbers(one) for g, one in catalog.checkpoints.items()},
        "told": catalog.told,
        "partial": {
            key: (one.total, numbers(one.done), numbers(one.covered))
            for key, one in catalog.partial.items()
        },
        "open": {
            n: ({g: numbers(s) for g, s in one.seqs.items()}, one.last_lsn, one.part_count)
            for n, one in catalog.open.items()
        },
        "hidden": list(catalog.hidden),
        "newest_revert_lsn": catalog.newest_revert_lsn,
    }


def numbers(ranges: Iterable[tuple[int, int]] | RangeSet) -> set[int]:
    """Return the numbers of some closed ranges."""
    return {number for first, last in ranges for number in range(first, last + 1)}


def scopes(groups: Iterable[int]) -> list[int]:
    """List what a revert may be about."""
    return [EVERY_GROUP, *groups]
