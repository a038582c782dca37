"""Rules: records are appended to groups."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from logstore.lsn import DURABILITIES, Durability
from tests.model.machine import LARGEST, SEGMENT, LogMachine, groups, parties, sizes
from tests.programs.party import Party

batches = st.lists(st.integers(0, 700), max_size=20)


class Writing(LogMachine):
    """append, append_many, reserve."""

    @rule(who=parties, group=groups, size=sizes, durability=st.sampled_from(DURABILITIES))
    def append(self, who: str, group: str, size: int, durability: Durability) -> None:
        """Append one record."""
        payload = self.payload(size)
        lsn = self.party(who).do(Party.append, group, payload, durability)
        self.model.append(lsn, group, payload)

    @rule(who=parties, group=groups, size=st.integers(0, LARGEST // 2), count=st.integers(1, 12))
    def append_a_lot(self, who: str, group: str, size: int, count: int) -> None:
        """Append more than a segment takes, or the ring."""
        for _ in range(count):
            self.append(who, group, size, "ring")

    @rule(who=parties, group=groups, segments=st.integers(1, 3))
    def append_waste(self, who: str, group: str, segments: int) -> None:
        """Append what nobody needs, segments full of it."""
        first = self.model.seqs.get(group, 0) + 1
        self.append_a_lot(who, group, SEGMENT // 5, 6 * segments)
        last = self.model.seqs[group]
        self.party(who).do(Party.checkpoint, group, None, [(first, last)])
        self.model.checkpoint(group, range(first, last + 1))

    @rule(who=parties, group=groups, batch=batches)
    def append_many(self, who: str, group: str, batch: list[int]) -> None:
        """Append a batch."""
        payloads = [self.payload(size) for size in batch]
        lsns = self.party(who).do(Party.append_many, group, payloads)
        assert len(lsns) == len(payloads)
        for lsn, payload in zip(lsns, payloads, strict=True):
            self.model.append(lsn, group, payload)

    @rule(who=parties, group=groups, size=sizes, abort=st.booleans())
    def reserve(self, who: str, group: str, size: int, abort: bool) -> None:
        """Fill a reservation, and publish or abort it."""
        payload = self.payload(size)
        lsn = self.party(who).do(Party.reserve, group, payload, abort)
        if abort:
            self.model.abandon(lsn, group)
        else:
            self.model.append(lsn, group, payload)
