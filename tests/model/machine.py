"""One log, its service, two processes that use it, and the model: what all rules work on."""

from __future__ import annotations

from typing import ClassVar, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from logstore.files import Directory
from logstore.segments import manifest as manifests
from logstore.segments.segment import bases_of
from tests.model.model import Model
from tests.model.parties import Doer, Here, Nursery, There
from tests.model.retention import Place, note_dropped
from tests.model.services import Services, discard
from tests.programs.party import Party
from tests.programs.rows import Row
from tests.service import until

RINGS: Final = (64 << 10, 256 << 10)
SEGMENT: Final = 16 << 10
LARGEST: Final = RINGS[0] // 4 - 64
GROUPS: Final = ("default", "orders", "billing", "größe")

parties: Final = st.sampled_from(["here", "there"])
groups: Final = st.sampled_from(GROUPS)
sizes: Final = st.one_of(
    st.integers(0, 80), st.integers(0, 80), st.integers(0, 3000), st.sampled_from([0, LARGEST])
)
which: Final = st.integers(0, 1 << 16)
"""Chooses one of a list whose length is known only when the rule runs: modulo that length."""


class LogMachine(RuleBasedStateMachine):
    """What the rules share. Each example has a log and a service of its own, in a new place."""

    services: ClassVar[Services]
    nursery: ClassVar[Nursery]
    pause: ClassVar[int]  # steps between two restarts, which take half a second each

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.owners: dict[int, str] = {}
        self.cursors: dict[str, Place] = {}
        self.seen: list[tuple[int, int]] = []
        self.ends: dict[int, int] = {}
        self.going: set[int] = set()  # dropped by a compaction, and there still
        self.numbers = 0
        self.steps_since_fault = 0
        self.is_ready = False

    @initialize(ring=st.sampled_from(RINGS))
    def begin_log(self, ring: int) -> None:
        """Take a log of its own."""
        self.service = self.services.take(ring)
        try:
            self.here = Here(self.service.name)
        except BaseException:
            discard(self.service)
            raise
        self.there = There(self.service.name, self.nursery)
        self.is_ready = True

    def party(self, name: str) -> Doer:
        """Return one of the two processes."""
        return self.here if name == "here" else self.there

    def payload(self, size: int) -> bytes:
        """Return a payload of this size, unlike all others if that is possible."""
        self.numbers += 1
        head = b"%d." % self.numbers
        return (head * (size // len(head) + 1))[:size]

    def number(self) -> int:
        """Return a number that was not used before."""
        self.numbers += 1
        return self.numbers

    def an_lsn(self, choice: int) -> int:
        """Return an LSN at which something began once."""
        boundaries = self.model.boundaries
        return boundaries[choice % len(boundaries)]

    def start(self) -> int:
        """Return where the log begins now."""
        return self.here.party.log.watermarks().start

    def is_gone(self, lsn: int | None) -> bool:
        """Tell whether compaction has dropped the log's beginning up to behind an LSN."""
        return lsn is not None and self.start() > lsn

    def segments(self) -> list[tuple[int, int]]:
        """Return where the sealed segments begin and end that are left."""
        with Directory.open(self.service.path, create=False) as directory:
            # Order: what is dropped is taken out of the manifest first, and read until it is gone.
            manifest, bases = manifests.load(directory), bases_of(directory.names())
        assert manifest is not None
        self.ends |= {one.base_lsn: one.end_lsn for one in manifest.sealed}
        left = [one.base_lsn for one in manifest.sealed]
        self.going = {base for base in bases if left and base < left[-1]} - {*left}
        found = sorted({*left, *self.going})
        return [
            (base, self.ends.get(base, behind))
            for base, behind in zip(found, [*found[1:], 0], strict=False)
        ]

    def until_nothing_is_going(self) -> None:
        """Wait until what a compaction that was killed had dropped is gone."""

        def gone() -> bool:
            self.segments()
            return not self.going

        until(gone, "the segments are unlinked that a killed compaction had dropped")

    def is_dropped(self, lsn: int) -> bool:
        """Tell whether the segment with an LSN was dropped from the middle, or the beginning."""
        segments = self.segments()
        behind = not segments or lsn >= segments[-1][1]
        return not behind and not any(base <= lsn < end for base, end in segments)

    def look(self) -> int:
        """See what compaction has dropped, and that it may; return where the log begins."""
        segments = self.segments()
        if segments != self.seen:
            note_dropped(self.model, segments, [*self.cursors.values()])
            self.seen = segments
        return self.start()

    def require(self, found: list[Row], expected: list[Row]) -> None:
        """Compare what was read with what was expected; compaction may have been at work."""
        start = self.look() if found != expected else 0
        self.model.require(found, expected, start)

    def an_open_transaction(self, choice: int) -> tuple[int, Doer]:
        """Return the number of an open transaction, and whose it is."""
        numbers = sorted(self.model.open)
        number = numbers[choice % len(numbers)]
        return number, self.party(self.owners[number])

    @invariant()
    def everything_readable_is_what_the_model_says(self) -> None:
        """Read all of it as it is, without waiting for the disk."""
        self.steps_since_fault += 1
        self.here.do(Party.until_published)
        self.look()
        self.require(self.here.do(Party.read, durability="ring"), self.model.read())

    def teardown(self) -> None:
        """Clean up."""
        if not self.is_ready:
            return
        try:
            self.there.kill()
            self.here.party.detach()
        finally:
            discard(self.service)
