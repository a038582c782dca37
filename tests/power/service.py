"""A whole service in one process: committer, syncer, chores and writers as tasks of one scheduler.

Everything in it is the product's, but for the clock, the random numbers and the order in which
things happen: these come from the seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import Enum
from pathlib import Path
from typing import Final
from unittest.mock import patch

from logstore.log import Log
from logstore.options import Options
from logstore.ring import region
from logstore.ring._ring import LAYOUT
from logstore.ring.client import Client
from logstore.ring.layout import COMMITTER, SUPERVISOR, SYNCER, State
from logstore.ring.liveness import LockFile
from logstore.segments import manifest as manifests
from logstore.segments.segment import segment_name
from logstore.workers import clock as log_clock
from logstore.workers import committer, compaction, role, segments, stalls, startup, syncer
from logstore.workers.committer import Committer
from logstore.workers.syncer import Syncer
from tests.power.history import History
from tests.power.real import lay_out
from tests.power.recording import EMPTY, Image, Op, RecordedDisk, Trace
from tests.power.scheduler import Chances, Clock, PromptChores, Scheduler, SteppedChores
from tests.power.writing import PoweredWriter

RING_SIZE: Final = 8192
SEGMENT_SIZE: Final = 8192  # 4 KiB of frames behind 4 KiB of header
_TIMED: Final = (committer, log_clock, stalls, compaction, role, segments, startup, syncer)


def small_options(ring_size: int = RING_SIZE) -> Options:
    """Return options with a ring that is smaller than any that users can ask for."""
    options = Options(ring_size=1 << 16, segment_size=SEGMENT_SIZE, sync_interval_s=0.01)
    object.__setattr__(options, "ring_size", ring_size)
    return options


class Ending(Enum):
    """How one run of the service ends."""

    STOP = "in order"
    KILL = "every process is killed at once; the next start finds what is in shared memory"
    FAIL = "one sync in a while fails, and then every process is killed; in order if none does"


class Simulation:
    """One generation: what happens to a directory from one power loss to the next.

    Attributes:
        trace: All changes of files, and who was told what.
        history: What was appended, this generation and what is left of those before.
    """

    def __init__(
        self,
        path: Path,
        seed: int,
        *,
        image: Image = EMPTY,
        history: History | None = None,
        really_sync: bool = False,
    ) -> None:
        """Put an image's files into a new directory.

        Args:
            path: The directory; its name is the log's.
            seed: Decides everything.
            image: What the power loss before has left.
            history: What must be there.
            really_sync: Whether syncs reach the disk under the directory.
        """
        self._rng = random.Random(f"{seed} {len(image.files)}")
        self._path = path
        self._name = f"{path.name:-<32}"  # of one length, so that a seed means one course of bytes
        lay_out(path, image)
        self.trace = Trace(image)
        self.history = history or History()
        self.directory = RecordedDisk.open(path, create=False)
        self.directory.record(self.trace, really_sync=really_sync)
        self._told = 0
        self._scheduler = Scheduler(self._rng)

    def run(self, endings: Sequence[Ending] = (Ending.STOP,), actions: int = 40) -> None:
        """Start, append and end, as many times as there are endings."""
        with self._seeded():
            try:
                for ending in endings:
                    self._live(ending, actions)
            finally:
                region.unlink(self._name)
                self.directory.really_close()
        self.history.finish()

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        with ExitStack() as stack:
            clock = Clock(self._rng)
            for module in _TIMED:
                if hasattr(module, "time"):
                    stack.enter_context(patch.object(module, "time", clock))
            stack.enter_context(patch.object(startup, "secrets", Chances(self._rng)))
            # The jobs of whoever writes down what a killed service left in its ring.
            stack.enter_context(patch.object(segments, "Chores", PromptChores))
            yield

    def _live(self, ending: Ending, actions: int) -> None:
        self._scheduler = scheduler = Scheduler(self._rng)
        lock = LockFile(self._path, mode=0o600)
        clients: list[Client] = []
        try:
            assert lock.take(SUPERVISOR)
            supervisor = startup.start(self.directory, lock, small_options(), self._name).client
            clients.append(supervisor)
            self._tell(supervisor.ring.load(LAYOUT["head"]))
            clients += [Client(self._name, role=one) for one in (COMMITTER, SYNCER, None, None)]
            _, drains, syncs, *others = clients
            logs = [Log(client) for client in others]
            writers = [
                PoweredWriter(log, self.history, self._rng, scheduler.pause, actions, self._issue)
                for log in logs
            ]
            chores = SteppedChores(scheduler)
            drain = Committer(drains, self.directory, chores=chores)
            sync = Syncer(syncs, self.directory)
            supervisor.ring.set_state(State.RUNNING)
            self._play(supervisor, drain, sync, chores, writers, ending)
            if supervisor.state == State.CLOSED:
                drain.close()
                sync.close()
                region.unlink(self._name)
                self._require_nothing_left()
            for log in logs:
                log.close()
        finally:
            for client in reversed(clients):
                client.close()
            lock.close()

    def _require_nothing_left(self) -> None:
        """Check that the committer has removed what compaction has dropped, be it earlier."""
        manifest = manifests.load(self.directory)
        assert manifest is not None
        listed = {segment_name(one.base_lsn) for one in manifest.sealed}
        there = {name for name in self.directory.names() if name.endswith(".seg")}
        assert there == listed, f"left behind: {there - listed}; missing: {listed - there}"

    def _play(
        self,
        supervisor: Client,
        drain: Committer,
        sync: Syncer,
        chores: SteppedChores,
        writers: list[PoweredWriter],
        ending: Ending,
    ) -> None:
        scheduler, ring = self._scheduler, supervisor.ring

        def drains() -> None:
            while not drain.finished():
                if not self._waits_for_sync(supervisor):
                    drain.step()
                scheduler.pause()
            chores.finish()

        def syncs() -> None:
            while not sync.finished():
                sync.step()
                scheduler.pause()

        def ends() -> None:
            while any(not writer.over for writer in writers):
                scheduler.pause()
            if ending is Ending.KILL:
                scheduler.power_off()
            if supervisor.state != State.FAILED:
                assert ring.set_state(State.DRAINING, 1.0)
            while supervisor.state == State.DRAINING:
                scheduler.pause()
            if supervisor.state == State.FAILED:
                scheduler.power_off()

        for name, body in (("committer", drains), ("syncer", syncs), ("chores", chores.live)):
            scheduler.add(name, body)
        for number, writer in enumerate(writers):
            scheduler.add(f"writer {number}", writer.live)
        scheduler.add("end", ends)
        scheduler.on_pause = lambda: self._tell(ring.load(LAYOUT["synced"]))
        self.directory.pause = scheduler.pause
        chance = 0.06 if ending is Ending.FAIL else 0.0
        # Segments fail oftener: there are more of their syncs, and more depends on them.
        self.directory.failing = lambda name: (
            self._rng.random() < chance * (2 if name.endswith(".seg") else 0.5)
        )
        try:
            scheduler.run()
        finally:
            self.directory.pause = lambda: None
            self.directory.failing = lambda _: False
        self._tell(ring.load(LAYOUT["synced"]))

    @staticmethod
    def _waits_for_sync(supervisor: Client) -> bool:
        """Tell whether the committer would only sleep until the syncer is done."""
        load = supervisor.ring.load
        done = load(LAYOUT["head"]) == load(LAYOUT["written"])
        behind = load(LAYOUT["synced"]) < load(LAYOUT["written"])
        return supervisor.state == State.DRAINING and done and behind

    def _tell(self, synced: int) -> None:
        if synced > self._told:
            self._told = synced
            self.trace.ops.append(Op("acked", number=synced))

    def _issue(self, count: int) -> None:
        self.trace.ops.append(Op("issued", number=count))
