"""The committer: moves published frames from the ring to segment files.

It is the only writer of files while the log runs. It writes an extent straight from ring memory at
the place that its LSN dictates, so a restarted committer writes the same bytes to the same place.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Final

from logstore.errors import Corruption, LogstoreError
from logstore.files import Directory
from logstore.format import FRAME_HEADER_SIZE, FrameHeader, Kind, encode_mark, span
from logstore.points import point
from logstore.ring._ring import LAYOUT
from logstore.ring.client import Client
from logstore.ring.layout import COMMITTER, Level, Mode, State, Stop
from logstore.segments import manifest as manifests
from logstore.workers import role
from logstore.workers.chores import Chores
from logstore.workers.clock import log_time_ns
from logstore.workers.last_step import LastStep
from logstore.workers.segments import Segments
from logstore.workers.stalls import Stall

EXTENT: Final = LAYOUT["EXTENT"]
MARK_INTERVAL_S: Final = 0.1
NAP_S: Final = LAYOUT["NAP_NS"] / 1e9
NAPS_FOR_S: Final = 0.05  # after the last work; then the next append has to wake us
DEEP_SLEEP_S: Final = 1.0
MARK_SIZE: Final = len(encode_mark(0, 0))
EAGER_NS: Final = LAYOUT["EAGER_NS"]
BLOCKED_S: Final = 0.01  # how often a frame that somebody is filling is looked at

logger = logging.getLogger("logstore.committer")


class Committer:
    """The draining role as steps."""

    def __init__(
        self,
        client: Client,
        directory: Directory | None = None,
        *,
        salvaging: bool = False,
        chores: Chores | None = None,
    ) -> None:
        """Join; the files are opened by the first step, which can wait for room on the disk.

        Args:
            client: The attachment, in the committer's role.
            directory: The data directory; opened if it is not given.
            salvaging: Every other process is dead, and no syncer runs.
            chores: Who seals and prepares segments; a thread if not given.
        """
        self._client = client
        self._ring = client.ring
        self._memory = memoryview(client.ring)
        self._directory = directory or Directory.open(client.identity.directory, create=False)
        self._orphanage = role.Orphanage(client)
        self._last_work_s = 0.0
        self._next_mark_s = 0.0
        self._mark_end = self._ring.load(LAYOUT["written"])  # no mark for what is marked, or empty
        self._stopped_at = 0
        self._blocked = False
        self._blocked_told = Stall(client.ring, "blocked")
        self._done = False
        self._salvaging = salvaging
        self._chores = chores
        self._segments: Segments | None = None

    def begin(self) -> Segments:
        """Open the active segment, or begin the first one of this region. Idempotent.

        Raises:
            OSError, LogstoreError: That failed; once there is room it can be done again.
        """
        if self._segments is None:
            self._segments = Segments(
                self._client, self._directory, salvaging=self._salvaging, chores=self._chores
            )
            if self._client.state == State.FULL:
                self._ring.set_state(State.RUNNING)
        return self._segments

    # Draining.

    def step(self) -> bool:
        """Drain one extent, turn a dead owner's frame into an abort frame, rotate, or stop."""
        state = self._client.state
        over = state == State.CLOSED or (state == State.FAILED and not self._salvaging)
        if over or not role.sound(self._client):
            return False
        written = self._ring.load(LAYOUT["written"])
        try:
            segments = self.begin()
            worked = self._drain(segments, written)
            if not worked and state == State.DRAINING:
                worked = self._stop(segments, written)
        except (OSError, LogstoreError) as error:
            self._cannot_write(error)
            return False
        if not worked and state == State.RUNNING:
            segments.compact_if_asked()
        return worked

    def _drain(self, segments: Segments, written: int) -> bool:
        ring = self._ring
        room = segments.room(written)
        to, stop, at, owner = ring.walk(written, min(EXTENT, room), True)
        self._stopped_at = at
        self._blocked = stop == Stop.BLOCKED
        self._blocked_told.tell(self._blocked, at, owner)
        if to == written:
            return self._unblock(stop, at, owner)
        if to - written > room and not segments.empty(written):
            return segments.rotate(written)
        ring.advance(Level.RING, to)
        point("drain.published")
        start = written & (ring.capacity - 1)
        segments.write(self._memory[start : start + to - written], written)
        point("drain.file")  # Crash: the successor writes the same bytes in the same place.
        ring.advance(Level.WRITTEN, to)
        self._went_on(to)
        ring.count_drain(to - written)
        # What little came meanwhile can wait for more: small pieces cost us and the writers, whose
        # cache lines we take, more than they gain. Whoever wants them sooner wakes us.
        more = stop != Stop.DRY or to - written >= EXTENT // 2
        return more or self._salvaging or self._client.state != State.RUNNING

    def _went_on(self, to: int) -> None:
        now = time.monotonic()
        self._last_work_s = now
        if self._client.state == State.FULL:
            self._ring.set_state(State.RUNNING)
        if now >= self._next_mark_s and to > self._mark_end:
            self._mark(now)

    def _mark(self, now: float) -> None:
        """Append the time of day, to find records by; skipped if the ring is busy."""
        slot = self._ring.offer_slot(MARK_SIZE, Kind.MARK)
        if slot is None:
            return
        point("mark.reserved")
        # Order: the clock after the reservation, so nothing before the mark came after its time.
        payload = encode_mark(log_time_ns(self._ring), self._ring.load(LAYOUT["synced"]))
        with memoryview(slot) as place:
            place[:] = payload
        slot.publish()
        self._next_mark_s = now + MARK_INTERVAL_S
        self._mark_end = slot.lsn + span(MARK_SIZE)

    def _unblock(self, stop: int, at: int, owner: int) -> bool:
        """The walk went nowhere: is it because of a dead owner, or of damage?"""
        if stop == Stop.BLOCKED:
            point("drain.blocked")  # Meanwhile the owner may publish, and then die.
            if not self._client.alive(owner):
                self._ring.abort_dead(at, owner)
                return True
        if stop == Stop.DAMAGED and role.sound(self._client):
            self._discard(at)
            return True
        return False

    def _discard(self, at: int) -> None:
        """Replace a damaged frame by an abort frame, up to the next good one if its size is bad.

        Only whoever may write the ring can have damaged it. Others' records are not to suffer.

        Raises:
            Corruption: What is left has no room for a frame: the head is not where it was.
        """
        start = at & (self._ring.capacity - 1)
        header = FrameHeader.decode(bytes(self._memory[start : start + FRAME_HEADER_SIZE]))
        behind = at + FRAME_HEADER_SIZE
        end = at + span(header.payload_length) if header.size > 0 and header.lsn == at else behind
        if end < behind or self._ring.next_boundary(end) != end:
            end = self._ring.next_boundary(behind)
        if end < behind:
            raise Corruption(f"{end - at} bytes in the ring belong to no frame", lsn=at)
        logger.error("a record at LSN %d was damaged in the ring; it is dropped", at)
        self._ring.discard(at, end - at)

    def _cannot_write(self, error: OSError | LogstoreError) -> None:
        if not role.out_of_space(error):
            role.fail(self._ring, "write", error, self._directory.path)
            return
        role.describe(self._ring, "write", error, self._directory.path)
        if self._client.state == State.RUNNING:
            self._ring.set_state(State.FULL)

    # Stopping.

    def _stop(self, segments: Segments, written: int) -> bool:
        """All is drained, and no new reservation is possible: make it durable, seal, close."""
        ring = self._ring
        if written != ring.load(LAYOUT["head"]):
            return False
        if written > ring.load(LAYOUT["synced"]) and not ring.poll(Level.SYNCED, written - 1, 0.1):
            return False
        if not segments.quiet():
            return True
        point("stop.drained")
        segments.close_cleanly(written)
        ring.set_state(State.CLOSED)
        point("stop.closed")
        self._done = True
        return True

    # Idling.

    def idle(self) -> None:
        """Sleep until there may be work: lightly while records flow, deeply afterwards."""
        ring, state = self._ring, self._client.state
        if state in (State.FULL, State.FAILED):
            time.sleep(role.RETRY_S)
            return
        if self._keep_vigil(state):
            return
        mode, timeout_s = self._how_to_sleep()
        now = time.monotonic()
        paused = mode is Mode.SLEEPING and now - self._last_work_s >= NAPS_FOR_S
        if paused and state == State.RUNNING and not self._blocked and self._unmarked():
            self._mark(now)  # the last records before a pause are found by time, too
        before = ring.load(LAYOUT["written"])
        ring.committer_idle(mode, self._stopped_at, state, timeout_s, *self._place())
        self._note_written(before)

    def _place(self) -> tuple[int, int, int]:
        return (-1, 0, 0) if self._segments is None else self._segments.place()

    def _keep_vigil(self, state: int) -> bool:
        """Write what somebody waits for, without Python; tell whether to look for work again."""
        before = self._ring.load(LAYOUT["written"])
        more = self._ring.keep_writing(self._stopped_at, state, *self._place())
        return self._note_written(before) or more

    def _note_written(self, before: int) -> bool:
        """Tell whether C has written something, and take note of it."""
        written = self._ring.load(LAYOUT["written"])
        if written > before:
            self._went_on(written)
        return written > before

    def _unmarked(self) -> bool:
        """Tell whether everything is drained and the newest mark is not the end of it."""
        return self._ring.load(LAYOUT["head"]) == self._stopped_at > self._mark_end

    def _how_to_sleep(self) -> tuple[Mode, float]:
        if self._client.state == State.DRAINING:
            return Mode.NAPPING, BLOCKED_S
        now = time.monotonic()
        wanted = self._ring.load(LAYOUT["sync_request"]) > self._stopped_at
        # A follower in another time namespace has another clock: what it says may lie far ahead.
        wanted = wanted or 0 < self._ring.load(LAYOUT["eager_until_ns"]) - now * 1e9 <= EAGER_NS
        if not wanted and now - self._last_work_s < NAPS_FOR_S:
            return Mode.NAPPING, NAP_S
        return Mode.SLEEPING, BLOCKED_S if self._blocked else DEEP_SLEEP_S

    def finished(self) -> bool:
        """Tell whether the log is closed, or nobody needs it."""
        return self._done or self._client.state == State.CLOSED or self._orphanage.abandoned()

    def close(self) -> None:
        """Close all files and leave the log."""
        self._memory.release()
        if self._segments is not None:
            self._segments.close()
        self._directory.close()
        self._client.close()


def make(client: Client) -> role.Worker:
    """Return the committer of a log, or what completes one that died at its very end.

    A running log's manifest is never clean: it becomes so once nothing can be appended any more.
    """
    with Directory.open(client.identity.directory, create=False) as directory:
        found = manifests.load(directory)
    if found is not None and found.clean:
        return LastStep(client)
    return Committer(client)


def main(argv: list[str]) -> int:
    """Run the committer of a directory."""
    return role.main(COMMITTER, make, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
