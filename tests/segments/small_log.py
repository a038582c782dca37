"""Building small logs on disk, the way the service does, for tests of the segments room."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from logstore.files import Directory
from logstore.format import NO_CLAIM, Flag, Kind, SegmentHeader, encode_frame, encode_mark
from logstore.frames import Record
from logstore.segments import manifest as manifests
from logstore.segments.footer import Footer
from logstore.segments.manifest import Manifest, SealedSegment
from logstore.segments.reader import SegmentReader
from logstore.segments.seal import seal
from logstore.segments.segment import begin, prepare, segment_name

SALT = 0x5EED5A17
SEGMENT_SIZE = 8192
UUID = bytes(range(16))
NAMES = ["default", "orders"]
DATA = 1 << Kind.DATA


@dataclass
class SmallLog:
    """Write a log segment by segment; the test decides what is durable and when it stops."""

    directory: Directory
    segment_size: int = SEGMENT_SIZE
    salt: int = SALT
    manifest: Manifest = field(init=False)
    header: SegmentHeader | None = None
    footer: Footer | None = None
    end_lsn: int = 4096
    synced_lsn: int = 4096
    now_ns: int = 1_700_000_000_000_000_000
    seq: dict[int, int] = field(default_factory=dict)
    records: list[tuple[int, int, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.manifest = manifests.create(self.directory, "small")
        self.manifest = replace(self.manifest, uuid=UUID, epoch=1, clean=False)
        self.save()

    def save(self, **changes: object) -> None:
        self.manifest = replace(self.manifest, **changes)  # type: ignore[arg-type]
        manifests.save(self.directory, self.manifest)

    def begin(self, *, named: bool = True) -> None:
        """Begin the next segment; the one before keeps whatever state it has."""
        previous = self.header
        self.header = SegmentHeader(
            uuid=UUID,
            epoch=self.manifest.epoch,
            salt=self.salt,
            base_lsn=self.end_lsn,
            previous_end_lsn=self.end_lsn if previous else 0,
            previous_digest=previous.crc if previous else 0,
            created_ns=self.now_ns,
        )
        fd = prepare(self.directory, self.segment_size)
        begin(self.directory, fd, self.header)
        self.directory.close_file(fd)
        if named:
            self.save(active_base_lsn=self.end_lsn)

    def put(
        self,
        payload: bytes = b"",
        *,
        kind: int = Kind.DATA,
        group: int = 0,
        flags: int = 0,
        proof_lsn: int | None = None,
    ) -> int:
        """Append one frame, claiming that everything below `proof_lsn` is durable."""
        assert self.header is not None
        lsn = self.end_lsn
        seq = 0
        if kind in (Kind.DATA, Kind.TXN_PART, Kind.ABORT):
            seq = self.seq[group] = self.seq.get(group, 0) + 1
        proof_lsn = self.synced_lsn if proof_lsn is None else proof_lsn
        distance = (lsn - proof_lsn) // 8 if proof_lsn else NO_CLAIM
        frame = encode_frame(
            payload,
            lsn=lsn,
            seq=seq,
            group=group,
            kind=kind,
            flags=flags,
            distance=distance,
            salt=self.salt,
        )
        change(self.directory, self.active, self.header.offset_of(lsn), frame)
        self.end_lsn += len(frame)
        if kind == Kind.DATA:
            self.records.append((lsn, group, payload))
        return lsn

    def batch(self, *payloads: bytes, whole: bool = True) -> None:
        """Append a batch; without its end unless it is whole."""
        for payload in payloads[:-1]:
            self.put(payload, flags=Flag.MORE_OF_BATCH)
        self.put(payloads[-1], flags=0 if whole else Flag.MORE_OF_BATCH)

    def mark(self, time_ns: int) -> int:
        return self.put(encode_mark(time_ns, self.synced_lsn), kind=Kind.MARK)

    def sync(self) -> None:
        """From now on new frames prove that everything so far is durable."""
        self.synced_lsn = self.end_lsn

    def seal(self, *, named: bool = True) -> None:
        """Seal the segment that was begun last."""
        assert self.header is not None
        self.footer = seal(
            self.directory, segment_name(self.header.base_lsn), self.end_lsn, self.footer
        )
        self.sync()
        if named:
            one = SealedSegment(
                self.header.base_lsn, self.end_lsn, self.footer.frames_digest, self.header.crc
            )
            self.save(sealed=(*self.manifest.sealed, one), active_base_lsn=None)

    @property
    def active(self) -> str:
        """The name of the segment that was begun last."""
        assert self.header is not None
        return segment_name(self.header.base_lsn)


def three_segments(directory: Directory) -> SmallLog:
    """Make a log of two sealed segments and an active one, with six records."""
    log = SmallLog(directory)
    for first, second in ((b"one", b"two" * 30), (b"three", b""), (b"five", b"six" * 50)):
        if log.header is not None:
            log.seal()
        log.begin()
        log.put(first)
        log.put(second)
    return log


def contents(directory: Directory) -> dict[str, bytes]:
    """Return all files of a data directory with their bytes."""
    names = [name for name in directory.names() if name != "quarantine"]
    if directory.exists("quarantine"):
        names += [f"quarantine/{name}" for name in directory.names("quarantine")]
    return {name: content(directory, name) for name in sorted(names)}


def content(directory: Directory, name: str) -> bytes:
    """Return the bytes of one file."""
    fd = directory.open_read(name)
    try:
        return directory.read(fd, directory.size(name), 0)
    finally:
        directory.close_file(fd)


def change(directory: Directory, name: str, offset: int, new: bytes) -> None:
    """Overwrite bytes of a file behind everybody's back."""
    fd = directory.open_write(name)
    try:
        directory.write(fd, new, offset)
    finally:
        directory.close_file(fd)


def cut(directory: Directory, name: str, size: int) -> None:
    """Change the length of a file behind everybody's back."""
    fd = directory.open_write(name)
    try:
        directory.truncate(fd, size)
    finally:
        directory.close_file(fd)


def flip(directory: Directory, name: str, offset: int, bit: int) -> None:
    """Flip one bit of a file."""
    (byte,) = content(directory, name)[offset : offset + 1]
    change(directory, name, offset, bytes([byte ^ (1 << bit)]))


def read_all(directory: Directory, end_lsn: int, start_lsn: int = 4096) -> list[Record]:
    """Return all data records of a log."""
    with SegmentReader(directory, UUID) as reader:
        chunks = reader.chunks(start_lsn, lambda: end_lsn, NAMES, kinds=DATA)
        return [record for chunk in chunks for record in chunk]


def facts(records: Iterable[Record]) -> list[tuple[int, int, bytes]]:
    """Reduce records to what `SmallLog.records` holds."""
    return [(r.lsn, NAMES.index(r.group), bytes(r.payload)) for r in records]
