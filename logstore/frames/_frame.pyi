"""The C module behind `logstore.frames`; every name below is re-exported there.

Every function takes any contiguous buffer, reads nothing outside of it whatever its bytes are, and
may be called by many threads at once. Nothing here blocks or touches a file. An integer outside of
its field's range is a ValueError.
"""

from typing import Final, TypeAlias, final

from typing_extensions import Buffer

FRAME_HEADER_SIZE: Final = 32
ALIGNMENT: Final = 8
IN_FLIGHT: Final = 0x80000000
MAX_PAYLOAD: Final = 0x7FFFFFFE
NO_CLAIM: Final = 0xFFFFFFFF

DATA: Final = 1
TXN_PART: Final = 2
TXN_COMMIT: Final = 3
TXN_ABORT: Final = 4
CHECKPOINT: Final = 5
REVERT: Final = 6
GROUP_NAME: Final = 7
MARK: Final = 8
ABORT: Final = 9
IGNORABLE: Final = 0x80

MORE_OF_BATCH: Final = 1
COMPRESSED: Final = 2

END: Final = 0
SHORT: Final = 1
BAD: Final = 2
UNKNOWN_KIND: Final = 3

HARDWARE_CRC: Final[bool]

def crc32c(data: Buffer, value: int = 0) -> int:
    """Continue a CRC-32C over more bytes.

    Uses the processor's instruction where there is one (`HARDWARE_CRC`). Releases the interpreter
    lock for 64 KiB and more.

    Args:
        data: The bytes to add.
        value: The result for the bytes before these, or a salt.

    Returns:
        The running value, the same as the package `crc32c` gives.
    """

def crc32c_portable(data: Buffer, value: int = 0) -> int:
    """Continue a CRC-32C by tables alone; otherwise the same as `crc32c`."""

def encode(
    payload: Buffer,
    lsn: int,
    seq: int,
    group: int,
    kind: int,
    flags: int,
    distance: int,
    salt: int,
) -> bytes:
    """Return a whole frame: header, payload, and zeros up to a multiple of `ALIGNMENT`.

    Args:
        payload: At most `MAX_PAYLOAD` bytes; copied.
        lsn: Where the frame will lie.
        seq: Number within the group; 0 for a frame that has none.
        group: Group id, 0 to 65535.
        kind: `DATA`, `MARK` and so on, 0 to 255; not judged.
        flags: `MORE_OF_BATCH` or 0.
        distance: How far below `lsn` the synced watermark is, in units of 8 bytes; `NO_CLAIM` if
            the frame shall prove nothing.
        salt: The epoch's salt.
    """

@final
class Record:
    """One record of the log.

    Immutable, hashable, picklable. Two are equal if all five fields are; a payload as bytes equals
    a view of the same bytes. The hash leaves the payload out.

    Attributes:
        lsn: Position of the record's frame in the log.
        group: Name of its group.
        seq: Its number within the group.
        kind: Kind of the frame, `DATA` for what `append` wrote.
        payload: What the caller appended: bytes of its own, or a read-only view that keeps the
            scanned buffer alive and shows whatever that buffer holds by then.
    """

    __match_args__ = ("lsn", "group", "seq", "kind", "payload")

    def __new__(
        cls, lsn: int, group: str, seq: int, kind: int, payload: bytes | memoryview
    ) -> Record: ...
    @property
    def lsn(self) -> int: ...
    @property
    def group(self) -> str: ...
    @property
    def seq(self) -> int: ...
    @property
    def kind(self) -> int: ...
    @property
    def payload(self) -> bytes | memoryview: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[type[Record], tuple[int, str, int, int, bytes]]: ...

def kinds_of(records: list[Record], /) -> int:
    """Return which kinds a list of Records has, bit `1 << kind` for each kind below 64."""

def scan(
    buffer: Buffer,
    lsn: int,
    salt: int,
    limit_lsn: int,
    names: list[str],
    *,
    kinds: int,
    copy: bool = True,
    max_records: int | None = None,
) -> tuple[list[Record], int, int]:
    """Decode the frames of a buffer into records.

    Every frame's checksum is checked, also of those that are not wanted. Holds the interpreter lock
    throughout.

    Args:
        buffer: Bytes of the log; the first is at `lsn`, where a frame begins.
        lsn: LSN of the buffer's first byte.
        salt: The epoch's salt.
        limit_lsn: Stop here; a frame that would cross it is `BAD`.
        names: Group names by group id. A group beyond the list is named "#" and its id.
        kinds: Which kinds to deliver: bit `1 << kind` for each.
        copy: Whether payloads are bytes of their own, or else read-only views of `buffer`, which
            can then not be resized or closed while a record lives.
        max_records: Stop after so many records; None for no bound.

    Returns:
        The records, the LSN behind the last frame that was gone through, and why it stopped there:
        `END` (at the limit, or enough records), `SHORT` (the frame there goes on behind the
        buffer), `BAD`, or `UNKNOWN_KIND` (a valid frame of a kind or with a flag that this version
        does not know; an unknown kind with bit `IGNORABLE` is passed over instead).
    """

def frame_at(
    buffer: Buffer, offset: int, lsn: int, salt: int, limit_lsn: int, names: list[str], /
) -> Record | int:
    """Decode the one frame at an offset of a buffer; checks its checksum.

    Args:
        buffer: Bytes of the log.
        offset: Where the frame begins in it.
        lsn: Where it lies in the log.
        salt, limit_lsn, names: As for `scan`.

    Returns:
        The frame as a Record, whatever its kind; or why there is none: `SHORT`, `BAD`,
        `UNKNOWN_KIND`, or `END` for one of an unknown kind that may be passed over.
    """

def find(
    buffer: Buffer,
    offset: int,
    lsn: int,
    salt: int,
    limit_lsn: int,
    names: list[str],
    group: int,
    seq: int,
    /,
) -> Record | tuple[int, int]:
    """Walk over the frames of a buffer to the record with a seq of a group.

    Only that record's checksum is checked: a frame before it is stepped over by its size, and
    only if the next one's header has its own LSN.

    Args:
        buffer, offset, lsn, salt, limit_lsn, names: As for `frame_at`.
        group: The group's id.
        seq: The record's number in it.

    Returns:
        The record, `DATA` or `TXN_PART`. Or, if it is not there, where the walk ended and why:
        `END` at the limit or before a record of the group with a higher seq; `SHORT`; `BAD`.
    """

@final
class OpenFiles:
    """Single records out of files that somebody keeps open; at most 32 of them.

    Loads never wait for the disk: they find only what is in the page cache, and only by way of a
    kernel and a file system that can tell (`RWF_NOWAIT`). What is damaged, not `DATA`, longer than
    64 KiB, or of a group that is not in `names`, is not found either. So None proves nothing.

    Any thread may call any method: a call holds the interpreter lock throughout. Closes nothing:
    who closes a descriptor drops the file before.
    """

    def __new__(cls) -> OpenFiles: ...
    def put(self, number: int, fd: int, base_lsn: int, origin_lsn: int, salt: int, /) -> None:
        """Take in an open file in the place of another.

        Args:
            number: Its place, 0 to 31. What was known there is forgotten.
            fd: Its descriptor.
            base_lsn: Where its first frame lies.
            origin_lsn: What LSN a frame at offset 0 would have.
            salt: The salt of its frames.
        """

    def drop(self, number: int, /) -> None:
        """Forget the file in a place, and what is known of it."""

    def know(
        self,
        number: int,
        group: int,
        first_seq: int,
        last_seq: int,
        end_lsn: int,
        seqs: Buffer,
        lsns: Buffer,
        /,
    ) -> None:
        """Take in where the records of a group lie in a file; 64 such things are kept.

        Args:
            number: The file's place.
            group: The group's id.
            first_seq, last_seq: Which of the group's records the file has, both included.
            end_lsn: They all lie below.
            seqs, lsns: Points, as `array("Q")` each: records of the group, in order. The first
                is the first record. They must not change any more.
        """

    def load(self, lsn: int, limit_lsn: int, names: list[str], /) -> Record | None:
        """Return the `DATA` record at an LSN, checksum checked; None if it is not found.

        Args:
            lsn: Anything; what is no LSN is not found.
            limit_lsn, names: As for `scan`.
        """

    def load_seq(self, group: int, seq: int, names: list[str], /) -> Record | None:
        """Return the `DATA` record with a seq of a group, as `load` does."""

_PartSet: TypeAlias = tuple[int, int, int, int, bool, bytes]

@final
class Survey:
    """What a range of frames holds, fed piece by piece, without making a record of each.

    Frames are judged by their form only: an unknown kind is listed by `system` like any other, and
    it is the caller who refuses it. One call at a time; a second one, while a thread is
    feeding, is a RuntimeError.

    Args:
        lsn: Where the range begins.
        salt: The epoch's salt.
        stride: Every so many records of a group, one becomes a point.
    """

    def __new__(cls, lsn: int, salt: int, stride: int = 64) -> Survey: ...
    def feed(self, buffer: Buffer, limit_lsn: int) -> tuple[int, int]:
        """Take in the frames of a buffer, as far as they are whole and valid.

        Releases the interpreter lock. The survey keeps nothing of the buffer but copies.

        Args:
            buffer: Bytes of the log; the first is at `end_lsn`.
            limit_lsn: Stop here; a frame that would cross it is `BAD`.

        Returns:
            The new `end_lsn`, from which to feed next, and why it stopped there: `END`, `SHORT` or
            `BAD`.

        Raises:
            MemoryError: The survey stands before the frame that did not fit.
        """

    @property
    def end_lsn(self) -> int:
        """Where the last whole valid frame ends."""

    @property
    def batch_lsn(self) -> int:
        """Where the unfinished batch at the end starts; `end_lsn` if there is none."""

    @property
    def record_count(self) -> int:
        """How many `DATA` and `TXN_PART` frames there are."""

    @property
    def digest(self) -> int:
        """CRC-32C of all bytes from the start to `end_lsn`, padding included."""

    @property
    def proof_lsn(self) -> int:
        """The greatest LSN below which some frame says everything was durable; 0 if none says."""

    def groups(self) -> list[tuple[int, int, int, int]]:
        """List (id, first_seq, last_seq, record_count) of each group, by id.

        The range is over all frames with a seq, the count over `DATA` and `TXN_PART` only.
        """

    def points(self, start: int = 0, /) -> list[tuple[int, int, int]]:
        """List (id, seq, lsn) of every stride-th record of each group, from its first, by LSN.

        Args:
            start: So many, that were listed before, are left out.
        """

    def system(self) -> list[tuple[int, int, int, int, bytes]]:
        """List (lsn, kind, group, seq, payload) of all frames but `DATA` and `TXN_PART`, by LSN.

        The payload of an `ABORT` is left out.
        """

    def marks(self) -> list[tuple[int, int, int, int, bytes]]:
        """List the `MARK` frames, as `system` does."""

    def effects(self) -> list[tuple[int, int, int, int, bytes] | _PartSet] | None:
        """List what is left to be said of the range when its records and marks are known.

        That is, in the order of the log, the frames of `system` without marks, and without the
        commits of transactions that begin here too; and what the other transactions have taken,
        before the frame that ends them or else at the end: (transaction, `TXN_PART`, group,
        LSN of the last part, whether the first part is here, ranges of seqs), the ranges as pairs
        of u64 in this machine's order.

        Returns:
            None if a part makes no sense: then only a judgement of each frame tells where.
        """

def resync(buffer: Buffer, lsn: int, salt: int, limit_lsn: int) -> int:
    """Find the first valid frame after damage.

    Releases the interpreter lock. A frame that the end of the buffer cuts is not found: let pieces
    of a file overlap.

    Args:
        buffer: Bytes of the log; the first is at `lsn`.
        lsn: LSN of the buffer's first byte.
        salt: The epoch's salt.
        limit_lsn: The frame must end here or below.

    Returns:
        LSN of the frame, a multiple of `ALIGNMENT`, or -1.
    """
