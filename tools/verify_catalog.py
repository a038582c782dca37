"""Work out what the frames of a log mean together, and what footers must say of it, byte for byte.

The part of verify_directory.py that knows checkpoints, transactions and reverts; like it, written
from the description of the formats alone, with struct.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct
from typing import Final

U64: Final = Struct("<Q")
PAIR: Final = Struct("<QQ")
COUNT: Final = Struct("<II")
COMMANDS: Final = Struct("<QII")
CHECKPOINT: Final = Struct("<IIQ")
TRANSACTIONS: Final = Struct("<QII")
TRANSACTION: Final = Struct("<QQQQII")
INTERVAL: Final = Struct("<IIQQ")

TXN_PART, COMMIT, TXN_ABORT, CHECKPOINT_FRAME, REVERT, ABORT = 2, 3, 4, 5, 6, 9


class Ranges:
    """A set of numbers as closed ranges."""

    def __init__(self, pairs: list[tuple[int, int]] | None = None) -> None:
        self.pairs = pairs or []
        self.sorted = 0

    def add(self, first: int, last: int) -> None:
        """Add a range."""
        self.pairs.append((first, last))

    def merged(self) -> list[tuple[int, int]]:
        """Return the ranges in order, none touching another."""
        if self.sorted < len(self.pairs):
            merged: list[tuple[int, int]] = []
            for first, last in sorted(self.pairs):
                if merged and first <= merged[-1][1] + 1:
                    merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
                else:
                    merged.append((first, last))
            self.pairs, self.sorted = merged, len(merged)
        return self.pairs

    def covers(self, other: Ranges) -> bool:
        """Tell whether all of another set is in this one."""
        mine = self.merged()
        return all(any(a <= c and d <= b for a, b in mine) for c, d in other.merged())

    def encoded(self) -> bytes:
        """Return the bytes of a set."""
        merged = self.merged()
        return COUNT.pack(len(merged), 0) + b"".join(PAIR.pack(*pair) for pair in merged)


@dataclass
class Transaction:
    """A transaction with parts in the log."""

    last_lsn: int = 0
    parts: int = 0
    commit_lsn: int = 0
    seqs: dict[int, Ranges] = field(default_factory=dict)


@dataclass
class Catalog:
    """What the frames of the log mean, up to where it was read."""

    done: dict[int, Ranges] = field(default_factory=dict)
    told: dict[int, int] = field(default_factory=dict)
    partial: dict[tuple[int, int], tuple[int, Ranges, Ranges]] = field(default_factory=dict)
    open: dict[int, Transaction] = field(default_factory=dict)
    committed: dict[int, Transaction] = field(default_factory=dict)
    hidden: list[tuple[int, int, int, int]] = field(default_factory=list)
    newest_revert: int = 0
    epoch: int = 0
    base_lsn: int = 0

    def begin(self, base_lsn: int, epoch: int) -> None:
        """Go on with the next segment."""
        if epoch != self.epoch:
            self.abort_all()
        self.base_lsn, self.epoch, self.committed = base_lsn, epoch, {}

    def give_up(self, group: int, first: int, last: int) -> None:
        """Nobody needs these seqs."""
        self.done.setdefault(group, Ranges()).add(first, last)

    def abort(self, number: int) -> None:
        """A transaction came to nothing."""
        for group, seqs in self.open.pop(number, Transaction()).seqs.items():
            for first, last in seqs.merged():
                self.give_up(group, first, last)

    def abort_all(self) -> None:
        """All open transactions came to nothing."""
        for number in list(self.open):
            self.abort(number)

    def frame(self, lsn: int, kind: int, group: int, seq: int, payload: bytes) -> None:
        """Take in a frame; raises struct.error or ValueError if it makes no sense."""
        if kind == TXN_PART:
            self.part(U64.unpack_from(payload)[0], lsn, group, seq)
        elif kind == COMMIT:
            number, _, _ = Struct("<QQQ").unpack(payload)
            one = self.open.pop(number, None)
            if one is not None and number < self.base_lsn:
                one.commit_lsn = lsn
                self.committed[number] = one
        elif kind == TXN_ABORT:
            self.abort(U64.unpack(payload)[0])
        elif kind == CHECKPOINT_FRAME and payload[:8] == b"\1" + bytes(7):
            self.checkpoint(group, pairs_at(payload, 8)[0])
        elif kind == CHECKPOINT_FRAME:
            self.commands(group, payload)
        elif kind == REVERT:
            fields = INTERVAL.iter_unpack(payload[COUNT.size :])
            self.hidden = [(scope, free, first, last or lsn) for scope, free, first, last in fields]
            self.newest_revert = lsn
            self.abort_all()
        elif kind == ABORT and seq:
            self.give_up(group, seq, seq)

    def part(self, number: int, lsn: int, group: int, seq: int) -> None:
        """Take in a part of a transaction."""
        if number == lsn:
            self.open[number] = Transaction()
        one = self.open.get(number)
        if one is None:
            self.give_up(group, seq, seq)
            return
        one.seqs.setdefault(group, Ranges()).add(seq, seq)
        one.last_lsn = lsn
        one.parts += 1

    def checkpoint(self, group: int, ranges: list[tuple[int, int]]) -> None:
        """Take in what a checkpoint frame said."""
        for first, last in ranges:
            self.give_up(group, first, last)
            self.told[group] = max(last, self.told.get(group, 0))

    def commands(self, group: int, payload: bytes) -> None:
        """Take in how far the commands of a record or a transaction are."""
        key, total, count = COMMANDS.unpack_from(payload, 8)
        end = 8 + COMMANDS.size + 8 * count
        done = [COUNT.unpack_from(payload, at) for at in range(8 + COMMANDS.size, end, 8)]
        covered = pairs_at(payload, end)[0]
        if self.done.setdefault(group, Ranges()).covers(Ranges(covered)):
            return
        _, before, seqs = self.partial.get((group, key), (0, Ranges(), Ranges()))
        before.pairs += done
        seqs.pairs += covered
        before.sorted = seqs.sorted = 0
        self.partial[group, key] = (total, before, seqs)
        if before.covers(Ranges([(0, total - 1)])):
            del self.partial[group, key]
            self.checkpoint(group, seqs.merged())

    # Sections of a footer.

    def sections(self, implied: dict[int, tuple[int, int]]) -> dict[int, bytes]:
        """Return the sections 3 to 5 that a footer must have here.

        Args:
            implied: By group, the range of seqs without a record that the index tells of itself.
        """
        for key, (_, _, covered) in list(self.partial.items()):
            if self.done.setdefault(key[0], Ranges()).covers(covered):
                del self.partial[key]
        found = {}
        done = {group: seqs for group, seqs in self.done.items() if seqs.merged()}
        told = {group: seqs.merged() for group, seqs in done.items()}
        if self.partial or self.told or told != {g: [pair] for g, pair in implied.items()}:
            parts = [COUNT.pack(len(done), len(self.partial))]
            for group, seqs in sorted(done.items()):
                parts += [CHECKPOINT.pack(group, 0, self.told.get(group, 0)), seqs.encoded()]
            for (group, number), (total, indexes, covered) in sorted(self.partial.items()):
                parts += [Struct("<IIQ").pack(group, total, number), indexes.encoded()]
                parts.append(covered.encoded())
            found[3] = b"".join(parts)
        listed = sorted({**self.open, **self.committed}.items())
        if listed:
            parts = [TRANSACTIONS.pack(self.epoch, len(listed), 0)]
            for number, one in listed:
                counts = (one.last_lsn, one.parts, one.commit_lsn, len(one.seqs), 0)
                parts.append(TRANSACTION.pack(number, *counts))
                for group, seqs in sorted(one.seqs.items()):
                    parts += [COUNT.pack(group, 0), seqs.encoded()]
            found[4] = b"".join(parts)
        if self.newest_revert:
            head = TRANSACTIONS.pack(self.newest_revert, len(self.hidden), 0)
            found[5] = head + b"".join(INTERVAL.pack(*one) for one in self.hidden)
        return found

    def adopt(self, found: dict[int, bytes], implied: dict[int, tuple[int, int]]) -> None:
        """Believe a footer: segments before it are gone, and with them what they said."""
        one = Catalog(epoch=self.epoch, base_lsn=self.base_lsn)
        one.done = {group: Ranges([pair]) for group, pair in implied.items()}
        if 3 in found:
            one.adopt_checkpoints(found[3])
        if 4 in found:
            one.adopt_transactions(found[4])
        if 5 in found:
            one.newest_revert = U64.unpack_from(found[5])[0]
            one.hidden = list(INTERVAL.iter_unpack(found[5][TRANSACTIONS.size :]))
        self.__dict__.update(one.__dict__)

    def adopt_checkpoints(self, data: bytes) -> None:
        """Believe a section 3."""
        groups, partials = COUNT.unpack_from(data)
        offset = COUNT.size
        self.done = {}
        for _ in range(groups):
            group, _, told = CHECKPOINT.unpack_from(data, offset)
            ranges, offset = pairs_at(data, offset + CHECKPOINT.size)
            self.done[group] = Ranges(ranges)
            self.told.update({group: told} if told else {})
        for _ in range(partials):
            group, total, key = Struct("<IIQ").unpack_from(data, offset)
            done, offset = pairs_at(data, offset + 16)
            covered, offset = pairs_at(data, offset)
            self.partial[group, key] = (total, Ranges(done), Ranges(covered))

    def adopt_transactions(self, data: bytes) -> None:
        """Believe a section 4."""
        _, count, _ = TRANSACTIONS.unpack_from(data)
        offset = TRANSACTIONS.size
        for _ in range(count):
            number, last, parts, commit, groups, _ = TRANSACTION.unpack_from(data, offset)
            one = Transaction(last, parts, commit)
            offset += TRANSACTION.size
            for _ in range(groups):
                (group, _) = COUNT.unpack_from(data, offset)
                ranges, offset = pairs_at(data, offset + COUNT.size)
                one.seqs[group] = Ranges(ranges)
            (self.committed if commit else self.open)[number] = one


def pairs_at(data: bytes, offset: int) -> tuple[list[tuple[int, int]], int]:
    """Read u32 n, u32 0 and n pairs; return them and where they end."""
    count, _ = COUNT.unpack_from(data, offset)
    end = offset + COUNT.size + PAIR.size * count
    return [PAIR.unpack_from(data, at) for at in range(offset + COUNT.size, end, PAIR.size)], end
