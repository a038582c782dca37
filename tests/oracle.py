"""The oracle: what must be in a log after whatever happened to it.

Writers report every record over a pipe before and after its append, never to the disk under test.
After the fault and a restart, `check` compares what is read with what was reported. The numbers in
the messages are those of the list of things that must hold:

1. every record acked at a level that the fault spares is there, byte for byte;
2. nothing is there that was never issued, nothing twice, per-writer order kept, no aborted record;
   a batch is there as a whole or not at all; a group's seq grows from record to record;
4. what was found once stays found, and what was absent once stays absent, in every later check;
5. a surviving writer gets an ack soon after the fault (`until_acked_after`).
"""

from __future__ import annotations

import itertools
import os
import selectors
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from logstore import Record
from logstore.lsn import DURABILITIES, Durability
from tests.programs.events import EVENT_SIZE, Event, Said, decode, digest

Key: TypeAlias = tuple[int, int]  # writer, n

ALL_LEVELS: Final[tuple[Durability, ...]] = DURABILITIES
SHOWN: Final = 5


@dataclass(slots=True)
class Fate:
    """What is known of one issued record."""

    digest: int
    batch: int
    lsn: int | None = None
    acked: Durability | None = None
    acked_ns: int = 0
    aborted: bool = False


@dataclass(slots=True)
class Oracle:
    """Collect what writers report, and judge what a log holds."""

    fates: dict[Key, Fate] = field(default_factory=dict)
    acks_ns: dict[int, list[int]] = field(default_factory=dict)
    held: dict[int, int] = field(default_factory=dict)
    _selector: selectors.DefaultSelector = field(default_factory=selectors.DefaultSelector)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _thread: threading.Thread | None = None
    _rest: dict[int, bytes] = field(default_factory=dict)
    _open: set[int] = field(default_factory=set)
    _found: dict[Key, int] | None = None

    # Listening.

    def listen(self) -> int:
        """Return the writing end of a new pipe, for one writer; close it after its start."""
        reader, writer = os.pipe()
        with self._changed:
            self._open.add(reader)
        self._selector.register(reader, selectors.EVENT_READ)
        if self._thread is None:
            self._thread = threading.Thread(target=self._collect, name="oracle", daemon=True)
            self._thread.start()
        return writer

    def _collect(self) -> None:
        while True:
            for key, _ in self._selector.select(0.05):
                reader = key.fd
                piece = os.read(reader, 1 << 16)
                stream = self._rest.pop(reader, b"") + piece
                whole = len(stream) - len(stream) % EVENT_SIZE
                self._rest[reader] = stream[whole:]
                with self._changed:
                    for event in decode(stream[:whole]):
                        self._take(event)
                    if not piece:
                        self._selector.unregister(reader)
                        os.close(reader)
                        self._open.discard(reader)
                    self._changed.notify_all()
            if not self._selector.get_map():
                with self._changed:
                    if not self._open:
                        self._thread = None
                        return

    def _take(self, event: Event) -> None:
        key = (event.writer, event.n)
        if event.said is Said.ISSUED:
            assert key not in self.fates, f"record {key} was issued twice"
            self.fates[key] = Fate(event.value, event.batch)
            return
        fate = self.fates[key]
        fate.lsn = event.value
        if event.said is Said.ACKED:
            fate.acked, fate.acked_ns = event.level, event.time_ns
            self.acks_ns.setdefault(event.writer, []).append(event.time_ns)
        elif event.said is Said.ABORTED:
            fate.aborted = True
        else:
            self.held[event.writer] = event.value

    def _until(self, ready: object, timeout_s: float, what: str) -> None:
        assert callable(ready)
        with self._changed:
            assert self._changed.wait_for(ready, timeout_s), f"not within {timeout_s} s: {what}"

    def until_all_told(self, timeout_s: float = 10.0) -> None:
        """Wait until every writer has closed its pipe: nothing more will be reported."""
        self._until(lambda: not self._open, timeout_s, "all writers have closed their pipes")

    def until_acked(self, writer: int, count: int, timeout_s: float = 10.0) -> None:
        """Wait until a writer has so many acks."""
        what = f"writer {writer} has {count} acks"
        self._until(lambda: len(self.acks_ns.get(writer, ())) >= count, timeout_s, what)

    def until_acked_at_last(self, writer: int, count: int, patience_s: float) -> None:
        """As `until_acked`, but however slow the disk is: fails if nobody gets any ack for long."""

        def acks() -> int:
            return sum(map(len, self.acks_ns.values()))

        while len(self.acks_ns.get(writer, ())) < count:
            with self._changed:
                before = acks()
            what = f"anybody has an ack beside {before}, while writer {writer} waits for {count}"
            self._until(lambda before=before: acks() > before, patience_s, what)

    def until_held(self, writer: int, timeout_s: float = 10.0) -> int:
        """Wait until a writer holds a reservation, and return its LSN."""
        self._until(lambda: writer in self.held, timeout_s, f"writer {writer} holds a record")
        return self.held[writer]

    def until_acked_after(self, writers: Iterable[int], time_ns: int, timeout_s: float) -> None:
        """5: wait until each writer has got three acks after `time_ns`.

        The first may have been on its way; the third was issued after the second one's ack.
        """
        for writer in writers:

            def goes_on(writer: int = writer) -> bool:
                acks = self.acks_ns.get(writer, [])
                return len(acks) >= 3 and acks[-3] > time_ns

            left_s = timeout_s - (time.monotonic_ns() - time_ns) / 1e9
            self._until(goes_on, max(left_s, 0.0), f"5: writer {writer} goes on after the fault")

    # Judging.

    def check(
        self, records: Iterable[Record], *, spared: Iterable[Durability] = ALL_LEVELS
    ) -> dict[Key, int]:
        """Compare a log's records, in order, with what was issued and acked; return what is there.

        Call it when all writers have ended. `spared` are the levels that the faults so far must
        not destroy: all of them, if only processes died.

        Raises:
            AssertionError: With the number of what does not hold.
        """
        with self._changed:
            records = list(records)
            found, strangers = self._match(records)
            self._report("2: seq does not grow", self._repeated_seqs(records))
            self._report("2: never issued, or there twice", strangers)
            self._report("1: acked and missing", self._missing(found, frozenset(spared)))
            self._report("2: aborted and there", [k for k in found if self.fates[k].aborted])
            self._report("2: out of order", self._disordered(found))
            self._report("2: batches that are there in part", self._torn_batches(found))
            if self._found is not None:
                before, now = self._found, found
                self._report("4: there before, and gone now", [k for k in before if k not in now])
                self._report("4: gone before, and there now", [k for k in now if k not in before])
            self._found = found
        return found

    def forget_absences(self) -> None:
        """Begin a new phase: more was issued since the last check."""
        self._found = None

    @staticmethod
    def _report(what: str, which: list[Key] | list[tuple[int, bytes]]) -> None:
        assert not which, f"{what}: {len(which)} records, such as {which[:SHOWN]}"

    def _match(self, records: Iterable[Record]) -> tuple[dict[Key, int], list[tuple[int, bytes]]]:
        """Find which issued record each record in the log is; return the ones that are none too."""
        told = {fate.lsn: key for key, fate in self.fates.items() if fate.lsn is not None}
        untold: dict[int, list[Key]] = {}
        for key, fate in self.fates.items():
            if fate.lsn is None:
                untold.setdefault(fate.digest, []).append(key)
        for keys in untold.values():
            keys.reverse()
        found: dict[Key, int] = {}
        strangers = []
        for record in records:
            payload = bytes(record.payload)
            mark = digest(payload)
            key_there = told.get(record.lsn)
            if key_there is not None and self.fates[key_there].digest == mark:
                found[key_there] = record.lsn
            elif key_there is None and untold.get(mark):
                found[untold[mark].pop()] = record.lsn
            else:
                strangers.append((record.lsn, payload[:40]))
        return found, strangers

    def _missing(self, found: dict[Key, int], spared: frozenset[Durability]) -> list[Key]:
        return [k for k, fate in self.fates.items() if fate.acked in spared and k not in found]

    @staticmethod
    def _repeated_seqs(records: Iterable[Record]) -> list[tuple[int, bytes]]:
        last: dict[str, int] = {}
        wrong = []
        for record in records:
            if record.seq <= last.get(record.group, 0):
                wrong.append((record.lsn, b"seq %d" % record.seq))
            last[record.group] = record.seq
        return wrong

    @staticmethod
    def _disordered(found: dict[Key, int]) -> list[Key]:
        last: dict[int, int] = {}
        wrong = []
        for (writer, n), _ in sorted(found.items(), key=lambda item: item[1]):
            if n <= last.get(writer, 0):
                wrong.append((writer, n))
            last[writer] = n
        return wrong

    def _torn_batches(self, found: dict[Key, int]) -> list[Key]:
        batches: dict[tuple[int, int, int], list[Key]] = {}
        for (writer, n), fate in self.fates.items():
            if fate.batch:
                # Numbers of batches come again after 65535 of them: n tells the rounds apart.
                batches.setdefault((writer, fate.batch, n // 65535), []).append((writer, n))
        torn = []
        for keys in batches.values():
            there = sum(key in found for key in keys)
            if 0 < there < len(keys):
                torn.append(keys[0])
        return torn

    def longest_silence_s(self, writer: int) -> float:
        """Return the longest time between two acks of a writer."""
        acks = self.acks_ns.get(writer, [])
        return max((b - a for a, b in itertools.pairwise(acks)), default=0) / 1e9
