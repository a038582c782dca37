"""A writer that does everything that can be done to a log, as the dice fall."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from logstore.checkpoints import checkpoint_ranges
from logstore.errors import LogstoreError, RevertedError
from logstore.format import span
from logstore.log import Log
from logstore.payloads import (
    EVERY_GROUP,
    CheckpointRanges,
    Interval,
    encode_checkpoint,
    encode_revert,
)
from logstore.ring._ring import LAYOUT
from logstore.ring.layout import Level, State, group_offset
from logstore.segments.ranges import RangeSet
from logstore.transaction import Transaction
from tests.power.history import History, Item, Seen

GROUPS: Final = ("default", "orders")
LARGEST: Final = 700


class PoweredWriter:
    """Append, commit, abort, checkpoint, revert and ask for compaction; keep the history."""

    def __init__(
        self,
        log: Log,
        history: History,
        rng: random.Random,
        pause: Callable[[], None],
        actions: int,
        issue: Callable[[int], None],
    ) -> None:
        self._log = log
        self._ring = log._client.ring
        self._history = history
        self._rng = rng
        self._pause = pause
        self._actions = actions
        self._issue = issue
        self._transaction: Transaction | None = None
        self._numbers = {"default": 0}
        self.over = False

    def live(self) -> None:
        """Do all actions, or as many as the log takes before it fails."""
        actions = [
            (self._append, 40),
            (self._batch, 10),
            (self._reserve, 8),
            (self._part, 16),
            (self._commit, 8),
            (self._checkpoint, 12),
            (self._revert, 2),
            (self._compact, 4),
            (self._wait, 8),
        ]
        chosen, weights = zip(*actions, strict=True)
        try:
            for _ in range(self._actions):
                self._rng.choices(chosen, weights)[0]()
                self._pause()
            self._commit()
        except LogstoreError:
            if self._log._client.state != State.FAILED:
                raise
        finally:
            self.over = True

    # What it does.

    def _append(self) -> None:
        payload, group = self._payload(), self._group()
        self._room(span(len(payload)))
        self._issue(1)
        lsn = self._log._ring.append(payload, 0.0, self._numbers[group])
        self._history.add(Item(lsn, lsn + span(len(payload)), (self._seen(lsn, group, payload),)))

    def _batch(self) -> None:
        payloads = [self._payload(200) for _ in range(self._rng.randrange(2, 5))]
        group = self._group()
        self._room(sum(span(len(payload)) for payload in payloads))
        self._issue(len(payloads))
        lsns = self._log._ring.append_many(payloads, 0.0, self._numbers[group])
        last = self._seq(group)
        seen = [
            (lsn, group, last - len(lsns) + 1 + place, payload)
            for place, (lsn, payload) in enumerate(zip(lsns, payloads, strict=True))
        ]
        self._history.add(Item(lsns[0], lsns[-1] + span(len(payloads[-1])), tuple(seen)))

    def _reserve(self) -> None:
        payload = self._payload()
        self._room(span(len(payload)))
        self._issue(1)
        slot = self._log._ring.reserve(len(payload), 0.0, 0)
        seq = self._seq("default")
        for _ in range(self._rng.randrange(4)):
            self._pause()
        if self._rng.random() < 0.3:
            slot.abort()
            return
        with memoryview(slot) as view:
            view[:] = payload
        seen = (slot.lsn, "default", seq, payload)
        slot.publish()
        self._history.add(Item(slot.lsn, slot.lsn + span(len(payload)), (seen,)))

    def _part(self) -> None:
        payload, group = self._payload(300), self._group()
        self._room(span(len(payload) + 8))
        self._issue(1)
        if self._transaction is None:
            self._transaction = self._log.transaction()
        lsn = self._transaction.append(payload, group=group, timeout=0.0)
        seen = (self._seen(lsn, group, payload),)
        key = self._transaction.id
        self._history.add(Item(lsn, lsn + span(len(payload) + 8), seen, transaction=key))

    def _commit(self) -> None:
        transaction, self._transaction = self._transaction, None
        if transaction is None:
            return
        self._room(span(24))
        if self._rng.random() < 0.25:
            transaction.abort()
            return
        try:
            lsn = transaction.commit(timeout=0.0)
        except RevertedError:
            return
        self._history.add(Item(lsn, lsn + span(24), transaction=transaction.id, commits=True))

    def _checkpoint(self) -> None:
        group = self._group()
        last = self._seq(group)
        if not last:
            return
        first = self._rng.randrange(max(1, last - 12), last + 1)
        until = self._rng.randrange(first, last + 1)
        if self._rng.random() < 0.7:
            first = 1
        said = CheckpointRanges(((first, until),))
        self._room(span(len(encode_checkpoint(said))))
        lsn = checkpoint_ranges(self._log.group(group), RangeSet([(first, until)]))
        end = lsn + span(len(encode_checkpoint(said)))
        self._history.add(Item(lsn, end, checkpointed=(group, said.ranges)))

    def _revert(self) -> None:
        kept = [
            Interval(EVERY_GROUP, item.hides_from, item.lsn)
            for item in self._history.items
            if item.hides_from
        ]
        floor = self._highest_checkpointed()
        places = [item.lsn for item in self._history.items if item.records and item.lsn > floor]
        if not places or len(kept) > 20:
            return
        place = self._rng.choice(sorted(places)[-8:])
        payload = encode_revert((*kept, Interval(EVERY_GROUP, place, 0)))
        self._room(span(len(payload)))
        newest = self._ring.load(LAYOUT["newest_revert_lsn"])
        lsn = self._ring.revert(payload, newest, 0.0)
        if lsn < 0:
            raise self._log._client.state_error()
        self._history.add(Item(lsn, lsn + span(len(payload)), hides_from=place))

    def _compact(self) -> None:
        self._ring.add(LAYOUT["compact_request"], 1)

    def _wait(self) -> None:
        head = self._ring.load(LAYOUT["head"])
        self._ring.poll(Level.SYNCED, head - 8, 0.0)

    # What it needs.

    def _payload(self, largest: int = LARGEST) -> bytes:
        # Mostly small, so that several frames share a sector.
        size = self._rng.randrange(largest) if self._rng.random() < 0.3 else self._rng.randrange(60)
        return self._rng.randbytes(size)

    def _group(self) -> str:
        group = self._rng.choice(GROUPS)
        if group not in self._numbers:
            self._room(span(len(group)))
            self._numbers[group] = self._log.group(group).id
        return group

    def _room(self, need: int) -> None:
        """Wait until the ring has room: nobody may sleep inside a call while he holds the baton."""
        load = self._ring.load
        while load(LAYOUT["head"]) + need > load(LAYOUT["written"]) + self._ring.capacity - 64:
            if self._log._client.state == State.FAILED:
                raise self._log._client.state_error()
            self._pause()

    def _seq(self, group: str) -> int:
        """Return the newest seq of a group: the one just given out, as long as nobody pauses."""
        return self._ring.load(group_offset(self._numbers[group], "seq"))

    def _seen(self, lsn: int, group: str, payload: bytes) -> Seen:
        return (lsn, group, self._seq(group), payload)

    def _highest_checkpointed(self) -> int:
        """Return the highest LSN of a record that a checkpoint has covered."""
        done = dict.fromkeys(GROUPS, 0)
        for item in self._history.items:
            group, ranges = item.checkpointed
            if group:
                done[group] = max(done[group], *(last for _, last in ranges))
        return max(
            (s[0] for item in self._history.items for s in item.records if s[2] <= done[s[1]]),
            default=0,
        )
