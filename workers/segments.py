"""The committer's segments: the active one, the next one prepared ahead, the old ones to be sealed.

Preparing, sealing and writing the manifest take milliseconds on the disk, so a thread beside the
committer does them; rotation itself is two system calls.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Final

from logstore.errors import Corruption, DiskFull, SyncFailed
from logstore.files import Directory
from logstore.format import SEGMENT_HEADER_SIZE, SegmentHeader
from logstore.points import point
from logstore.ring import slots
from logstore.ring._ring import LAYOUT
from logstore.ring.client import Client
from logstore.ring.layout import Level, State
from logstore.segments import manifest as manifests
from logstore.segments.footer import Footer, read_footer
from logstore.segments.manifest import Manifest, SealedSegment
from logstore.segments.seal import seal
from logstore.segments.segment import bases_of, begin, discard, prepare, read_header, segment_name
from logstore.workers import role
from logstore.workers.chores import Chores
from logstore.workers.clock import log_time_ns
from logstore.workers.compaction import Compactor, remove_leftovers

WAIT_S: Final = 0.005  # between two looks whether a rotation has become possible
UNSEALED_LIMIT: Final = 16  # a committer this many segments ahead of the sealing waits


@dataclass(slots=True)
class _Active:
    """The segment being written."""

    header: SegmentHeader
    fd: int


class Segments:
    """The files of one running log, as its committer sees them."""

    def __init__(
        self,
        client: Client,
        directory: Directory,
        *,
        salvaging: bool = False,
        chores: Chores | None = None,
    ) -> None:
        """Open the active segment, queue the sealing of older ones a predecessor left unsealed.

        Args:
            client: The attachment, in the committer's role.
            directory: The data directory.
            salvaging: No syncer runs: what is written is synced afterwards, by recovery.
            chores: Who does the jobs beside the main work; a thread of its own if not given.

        Raises:
            Corruption: The files do not fit the region.
            OSError: The directory or a file cannot be read or written.
        """
        self._client = client
        self._ring = client.ring
        self._directory = directory
        self._identity = client.identity
        found = manifests.load(directory)
        if found is None:
            raise Corruption("the manifest is gone while the log runs", path=directory.path)
        self._manifest = found
        newest = segment_name(found.sealed[-1].base_lsn) if found.sealed else None
        self._newest_footer = None if newest is None else read_footer(directory, newest)
        bases = bases_of(directory.names())
        self._spare: int | None = None
        self._preparing = False
        self._stopping = False
        self._compactor = Compactor(client, directory)
        self._salvaging = salvaging
        base = slots.newest(self._ring)
        if base is None or self._was_dropped(base):
            previous = found.sealed[-1].header_crc if found.sealed else 0
            self._active = self._begin(self._ring.load(LAYOUT["written"]), previous)
        else:
            self._active = self._open(base)
        self.chores = chores or Chores()
        self.chores.on_failure = lambda error: role.fail(self._ring, "seal", error, directory.path)
        self._prepare_later()
        self.chores.add(lambda: remove_leftovers(client, directory, self._manifest, bases))
        self._queue_unsealed(bases)

    def _was_dropped(self, base_lsn: int) -> bool:
        """Tell whether the newest segment was empty, and a predecessor that stopped removed it."""
        empty = base_lsn == self._ring.load(LAYOUT["written"])
        return empty and not self._directory.exists(segment_name(base_lsn))

    def _open(self, base_lsn: int) -> _Active:
        name = segment_name(base_lsn)
        header = read_header(self._directory, name, uuid=self._identity.uuid)
        return _Active(header, self._directory.open_write(name))

    def _queue_unsealed(self, bases: list[int]) -> None:
        """Queue the sealing of what is listed behind the sealed segments and before the active."""
        sealed_end = self._manifest.sealed[-1].end_lsn if self._manifest.sealed else 0
        unsealed = [base for base in bases if sealed_end <= base <= self._active.header.base_lsn]
        for base, successor in itertools.pairwise(unsealed):
            self._seal_later(base, successor)

    # The active segment.

    def room(self, lsn: int) -> int:
        """Return how many bytes the active segment takes from `lsn` on before it is full."""
        end = self._active.header.base_lsn + self._identity.segment_size - SEGMENT_HEADER_SIZE
        return max(end - lsn, 0)

    def empty(self, lsn: int) -> bool:
        """Tell whether a write at `lsn` would be the active segment's first."""
        return lsn == self._active.header.base_lsn

    def write(self, extent: memoryview, lsn: int) -> None:
        """Write an extent at its place; in the page cache on return."""
        offset = SEGMENT_HEADER_SIZE + lsn - self._active.header.base_lsn
        self._directory.write(self._active.fd, extent, offset)

    def place(self) -> tuple[int, int, int]:
        """Return where C writes: a descriptor or -1, the LSN at its offset 0, where it is full."""
        fd = self._active.fd if self._directory.direct else -1
        origin = self._active.header.base_lsn - SEGMENT_HEADER_SIZE
        return fd, origin, origin + self._identity.segment_size

    def rotate(self, lsn: int) -> bool:
        """Begin the next segment at `lsn`, or wait a moment if the disk is too far behind.

        Returns True: either way a next step has something to do.
        """
        self._raise_trouble()
        unsynced = not self._salvaging and not slots.room(self._ring)
        behind = unsynced or self.chores.pending > UNSEALED_LIMIT
        if behind or (self._spare is None and self._preparing):
            self.chores.await_progress(WAIT_S)
            return True
        old = self._active
        self._active = self._begin(lsn, old.header.crc)
        self._directory.close_file(old.fd)
        self._ring.store(LAYOUT["rotations"], self._ring.load(LAYOUT["rotations"]) + 1)
        self._prepare_later()
        self._seal_later(old.header.base_lsn, lsn)
        return True

    def _begin(self, base_lsn: int, previous: int) -> _Active:
        """Give the prepared file its header and its name, and announce it."""
        header = SegmentHeader(
            uuid=self._identity.uuid,
            epoch=self._identity.epoch,
            salt=self._identity.salt,
            base_lsn=base_lsn,
            previous_end_lsn=base_lsn if previous else 0,
            previous_digest=previous,
            created_ns=log_time_ns(self._ring),
        )
        fd, self._spare = self._spare, None
        if fd is None:
            fd = prepare(self._directory, self._identity.segment_size, mode=self._identity.mode)
        try:
            begin(self._directory, fd, header)
        except BaseException:
            self._directory.close_file(fd)
            raise
        point("rotate.named")
        # Crash: before this line the successor begins the same segment again over it.
        slots.push(self._ring, base_lsn)
        point("rotate.pushed")
        return _Active(header, fd)

    # Chores.

    def _prepare_later(self) -> None:
        self._preparing = True
        self.chores.add(self._prepare)

    def _prepare(self) -> None:
        try:
            self._spare = prepare(
                self._directory, self._identity.segment_size, mode=self._identity.mode
            )
        except DiskFull:
            # Rotation tries again, and the log is FULL if that fails too.
            self._spare = None
        finally:
            self._preparing = False

    def _seal_later(self, base_lsn: int, end_lsn: int) -> None:
        self.chores.add(lambda: self._seal(base_lsn, end_lsn))

    def _seal(self, base_lsn: int, end_lsn: int) -> None:
        if base_lsn not in {one.base_lsn for one in self._manifest.sealed[-1:]}:
            self._await_synced(end_lsn)
            name = segment_name(base_lsn)
            footer = seal(self._directory, name, end_lsn, self._newest_footer)
            point("seal.sealed")  # Crash: the successor finds it unlisted, and seals it again.
            self._record(footer, read_header(self._directory, name, uuid=self._identity.uuid).crc)
            self._newest_footer = footer
        if self._compactor.is_due() and not self._stopping:
            self._compact()

    def _await_synced(self, end_lsn: int) -> None:
        """Wait until the syncer has made a segment's frames durable.

        Sealing syncs the file as well. If that failed first, the error would count as reported, and
        a syncer that opens the file afterwards would be told that all is well.

        Raises:
            SyncFailed: It will not come to that.
        """
        while not (self._salvaging or self._ring.poll(Level.SYNCED, end_lsn - 1, 0.0)):
            if self.chores.ending or self._client.state in (State.FAILED, State.CLOSED):
                raise SyncFailed("a segment is not synced, and cannot be sealed", lsn=end_lsn)
            self.chores.pause(WAIT_S)

    def _record(self, footer: Footer, header_crc: int) -> None:
        sealed = SealedSegment(footer.base_lsn, footer.end_lsn, footer.frames_digest, header_crc)
        active = self._active.header.base_lsn
        manifest = replace(
            self._manifest,
            sealed=(*self._manifest.sealed, sealed),
            # At the end the active segment itself is sealed, and is active no more.
            active_base_lsn=active if active != footer.base_lsn else None,
        )
        self._save(manifest)
        self._compactor.sealed()

    def _save(self, manifest: Manifest) -> None:
        manifests.save(self._directory, manifest, mode=self._identity.mode)
        self._manifest = manifest

    def _raise_trouble(self) -> None:
        trouble = self.chores.failure or self.chores.full
        if trouble is not None:
            raise trouble

    def compact_if_asked(self) -> bool:
        """Queue a compaction if a client wants one, or a segment was sealed a while ago."""
        if not self._compactor.is_to_be_queued():
            return False
        self.chores.add(self._compact)
        return True

    def _compact(self) -> None:
        self._compactor.compact(self._manifest, self._save)

    # The end.

    def quiet(self) -> bool:
        """Wait a moment for the chores; tell whether all are done.

        Raises:
            OSError, LogstoreError: One has failed, or finds no room now.
        """
        self._raise_trouble()
        if self.chores.pending:
            self.chores.await_progress(WAIT_S)
        return not self.chores.pending

    def close_cleanly(self, end_lsn: int) -> None:
        """Seal the active segment, or drop it if it is empty, and mark the manifest clean.

        No chore may be left. It can be called again if it finds no room.
        """
        self._stopping = True
        base = self._active.header.base_lsn
        if base == end_lsn:
            if self._directory.exists(segment_name(base)):
                self._directory.unlink(segment_name(base))
            self._directory.sync()
        elif base not in {one.base_lsn for one in self._manifest.sealed}:
            # Crash: a predecessor that died from here on has sealed and recorded it.
            self._seal(base, end_lsn)
        point("stop.sealed")
        if self._spare is not None:
            fd, self._spare = self._spare, None
            discard(self._directory, fd)
        manifest = replace(self._manifest, clean=True, active_base_lsn=None)
        manifests.save(self._directory, manifest, mode=self._identity.mode)
        point("stop.clean")

    def close(self) -> None:
        """End the chores and close the files."""
        self.chores.finish()
        if self._spare is not None:
            self._directory.close_file(self._spare)
        self._directory.close_file(self._active.fd)
