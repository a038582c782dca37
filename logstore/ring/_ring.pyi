from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar, final

from typing_extensions import Buffer, disjoint_base

from logstore.lsn import Durability

_T = TypeVar("_T")

LAYOUT: Final[dict[str, int]]
"""Offsets of the region's fields and the constants of ring.h."""

def token(index: int, generation: int, /) -> int:
    """Return the word by which a client marks what it owns."""

@final
class Slot:
    """A reservation in the ring; its buffer is the payload's place there, writable.

    Not to be shared between threads. Dropped without `publish`, it aborts.
    """

    @property
    def lsn(self) -> int: ...
    @property
    def seq(self) -> int: ...
    def publish(self, /) -> None:
        """Checksum the payload and make the frame visible.

        Raises:
            BufferError: A view of the buffer is still alive, or the slot is finished.
        """

    def abort(self, /) -> None:
        """Give the reservation up; readers skip it. Takes effect once no view of it is left."""

    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __release_buffer__(self, buffer: memoryview, /) -> None: ...

@disjoint_base
class Appender:
    """The `append` of a log and of its groups; without a time-out it makes no Python frame.

    Attributes:
        _ring: The log's mapping, or what stands in its place: then `_append_as` is called instead.
        _parent: For a group: its log, whose `_ring` it takes.
        _group_id: To which group.
    """

    _ring: Ring
    _parent: Appender
    _group_id: int

    def append(
        self,
        payload: Buffer,
        *,
        durability: Durability = "ring",
        timeout: float | None = None,
    ) -> int:
        """Append one record and return its LSN.

        On return the record survives the death of any process, and with `durability` "written" or
        "synced" is in the page cache or on disk. Blocks while the ring is full, and for the
        durability asked for. Any thread of any process may call it at any time.

        Args:
            payload: Any contiguous buffer, empty too; its bytes are copied before return.
            durability: "ring", "written" or "synced".
            timeout: Seconds for all of it; None waits for ever.

        Raises:
            RingFull: No room until the time-out; nothing was appended.
            RecordTooLarge: Larger than a quarter of the ring; nothing was appended.
            Timeout: Appended, but not as durable as asked for by then: `wait` for it again.
            DiskFull: The disk is full and so is the ring; nothing was appended.
            SyncFailed: The disk failed; what is on it is known only after recovery.
            NotRunning, Closed, ReadOnly: The log takes no appends from here.
            TypeError: `payload` is no buffer.
        """

class Waiter(Appender):
    """What a log has beside; not plain is what goes to `_wait_for`."""

    def wait(
        self, lsn: int, durability: Durability = "synced", timeout: float | None = None
    ) -> None:
        """Block until the record at `lsn`, and every one before it, is as durable as asked for.

        Raises:
            Timeout: Not yet; waiting again is right.
            InvalidLSN: No record can be there, or none was appended there yet.
            DiskFull: It cannot get there until there is room; it is safe in shared memory.
            SyncFailed, NotRunning, Closed: It will not get there in this run of the service.
        """

@final
class Ring:
    """One process's mapping of a region. Threads may share it; a forked child must not use it.

    The buffer is the ring's double mapping, read-only: the frame at `lsn` begins at
    `lsn & (capacity - 1)`.
    """

    def __new__(cls, fd: int, capacity: int, salt: int, semaphore: str | None) -> Ring:
        """Map the region behind `fd`; without a semaphore's name, for reading only.

        Raises:
            OSError: It cannot be mapped, or the semaphore cannot be opened.
        """

    @property
    def capacity(self) -> int: ...
    @property
    def largest_payload(self) -> int: ...
    @property
    def token(self) -> int: ...
    @property
    def closed(self) -> bool: ...

    hook: Callable[[int, int], object] | None
    """Called with (status, detail) when a call cannot go on. It raises, or returns to try again."""

    def close(self, /) -> None:
        """Refuse new calls and wait until threads inside have left (at most a slice)."""

    def forsake(self, /) -> None:
        """Refuse new calls, in a forked child: its parent goes on with what it has reserved."""

    def bind(self, token: int, /) -> None:
        """Take the identity of a client; needed before any append."""

    # Header words.
    def load(self, offset: int, /) -> int:
        """Return a word of the header (atomic, acquire)."""

    def store(self, offset: int, value: int, /) -> None:
        """Set a word of the header (atomic, release)."""

    def add(self, offset: int, amount: int, /) -> int:
        """Add to a word of the header (atomic) and return the sum."""

    def wake_committer(self, /) -> None:
        """Wake the committer for work that is no record."""

    def words(self, offset: int, count: int, /) -> list[int]:
        """Return consecutive words, each read for itself."""

    def read_header(self, offset: int, length: int, /) -> bytes:
        """Return bytes of the header as they are."""

    def write_header(self, offset: int, value: Buffer, /) -> None:
        """Overwrite bytes of the header."""

    # Writers.
    def append(
        self,
        payload: Buffer,
        timeout: float | None = None,
        group: int = 0,
        kind: int = 1,
        unreverted_since: int = 0,
        /,
    ) -> int:
        """Append one frame and return its LSN; blocks while the ring is full.

        With `unreverted_since`, refuse if a revert frame lies behind that LSN.
        """

    def append_many(
        self,
        payloads: Sequence[Buffer],
        timeout: float | None = None,
        group: int = 0,
        kind: int = 1,
        /,
    ) -> list[int]:
        """Append one batch, all or nothing, and return the LSNs."""

    def append_part(
        self, payload: Buffer, timeout: float | None, group: int, transaction: int, /
    ) -> tuple[int, int]:
        """Append one part of a transaction and return (lsn, seq); transaction 0: the first part.

        The payload is preceded by 8 bytes: the transaction's id, the LSN of its first part.
        """

    def revert(self, payload: Buffer, known: int, timeout: float, /) -> int:
        """Append a revert frame, published inside the guard; return its LSN, or -1: try again.

        Nothing is appended if there is a revert behind `known`, the newest one when the payload
        was made.
        """

    def swap(self, offset: int, expected: int, value: int, /) -> bool:
        """Set a word of the header if it is what was expected (atomic); tell whether it was."""

    def offer_slot(self, size: int, kind: int, /) -> Slot | None:
        """Reserve in group 0 if that needs no waiting at all."""

    def offer(self, payload: Buffer, timeout: None = None, group: int = 0, kind: int = 1, /) -> int:
        """Append if that needs no waiting at all; return the LSN, or -1.

        -1 also once the ring is closed.
        """

    def reserve(
        self, size: int, timeout: float | None = None, group: int = 0, kind: int = 1, /
    ) -> Slot:
        """Reserve room for a payload of exactly `size` bytes."""

    def wait(self, level: int, lsn: int, timeout: float | None = None, /) -> None:
        """Sleep until the watermark of `level` exceeds `lsn`."""

    def poll(self, level: int, lsn: int, timeout: float | None, /) -> bool:
        """Sleep at most once for the watermark of `level` to exceed `lsn`; tell whether it does."""

    # Readers.
    def removed(self) -> int:
        """Return a number that grows when segments have been removed."""

    def readable(self, lsn: int, removed: int, /) -> int:
        """Return up to where the files have been written, if a record may be read there at once.

        Args:
            lsn: Anything, hopefully an LSN.
            removed: What `removed` gave when it was last looked which segments there are.

        Returns:
            0 if anything is out of the ordinary: no LSN, one before the start, segments were
            removed since, or something was ever reverted.
        """

    def deliver(
        self, records: list[_T], offset: int, value: int, rest: Callable[[int], Iterator[_T]], /
    ) -> Iterator[_T]:
        """Iterate over `records` while a word of the header has a value, looked at for each.

        Once it has another, go on with what `rest` returns, called with how many were given.
        """

    # Workers.
    def walk(self, from_lsn: int, most: int, verify: bool, /) -> tuple[int, int, int, int]:
        """Return (to, stop, at, owner): the longest publishable run of at most `most` bytes."""

    def abort_dead(self, lsn: int, owner: int, /) -> bool:
        """Turn what a dead owner left in flight into an abort frame. Committer only.

        Returns:
            False if he published it before he died, and it stays.
        """

    def next_boundary(self, lsn: int, /) -> int:
        """Return where the next sound frame or one in flight begins, from `lsn` on; or the head."""

    def discard(self, lsn: int, span: int, /) -> None:
        """Replace damaged bytes by one abort frame, if they have room for one. Committer only."""

    def advance(self, level: int, to: int, /) -> None:
        """Move a watermark on and wake who waits for it."""

    def committer_idle(
        self,
        mode: int,
        blocked_lsn: int,
        state: int,
        timeout: float,
        fd: int,
        origin: int,
        end: int,
        /,
    ) -> None:
        """Sleep in `mode` until there is work, the state is no longer `state`, or time is up.

        Work is done right away, if `fd` is not -1, as on the vigil (`keep_writing`), for up to
        50 ms and as long as there is some at the end of each sleep.
        """

    def syncer_idle(self, mode: int, state: int, timeout: float, fd: int, segments: int, /) -> bool:
        """Sleep in `mode` until there is work, the state is no longer `state`, or time is up.

        What somebody waits for is synced right away, and so on, for up to 50 ms. Arguments, result
        and errors are those of `keep_syncing`.
        """

    def keep_writing(self, blocked_lsn: int, state: int, fd: int, origin: int, end: int, /) -> bool:
        """Keep the committer's vigil: write to `fd` while somebody waits for a quick disk.

        Args:
            blocked_lsn: Where its walk stopped.
            state: Another one ends the vigil.
            fd: The active segment; -1 to only look for work.
            origin: The LSN at offset 0 of the segment.
            end: Where the segment is full, as an LSN.

        Returns:
            Whether there is something for the worker's step; it may sleep otherwise.
        """

    def keep_syncing(self, state: int, fd: int, segments: int, /) -> bool:
        """Keep the syncer's vigil: sync `fd` while somebody waits for a quick disk.

        Args:
            state: Another one ends the vigil.
            fd: The only file with bytes that are not durable; -1 to only look for work.
            segments: How many segments have been begun so far.

        Returns:
            Whether there is something for the worker's step; it may sleep otherwise.

        Raises:
            OSError: The disk refused. Nothing may be synced any more.
        """

    def sound(self) -> bool:
        """Tell whether the words of the region can all be true; `complaint` says what is wrong."""

    def count_drain(self, size: int, /) -> None: ...
    def count_sync(self, size: int, elapsed_ns: int, /) -> None: ...
    def set_state(self, state: int, timeout: float | None = None, /) -> bool:
        """Publish a state and wake everybody; with a timeout, while holding the guard."""

    def repair(self, dead: int, /) -> bool:
        """Free the guard from a dead owner. The recovery lock must be held."""

    def post(self, /) -> None:
        """Give the guard's semaphore a token if it has none."""

    def knock(self, /) -> None:
        """Tell the supervisor that the client table changed."""

    def await_knock(self, seen: int, timeout: float, /) -> int:
        """Sleep until the count of knocks differs from `seen`; return it."""

    def __buffer__(self, flags: int, /) -> memoryview: ...
