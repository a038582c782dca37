"""A small log of which the test knows every frame, and what must be said of it when it is damaged.

Nothing here asks the code under test what is whole: bytes are compared with what was written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from logstore.format import Flag
from tests.memory_directory import MemoryDirectory
from tests.segments.small_log import SmallLog

HEADER: Final = 4096
MANIFEST: Final = "MANIFEST"


@dataclass(frozen=True)
class Frame:
    """One frame of a file: its place, what it proves, and the record in it."""

    name: str
    lsn: int
    start: int
    end: int
    proof_lsn: int
    batch_lsn: int
    record: tuple[int, int, bytes]
    seq: int


@dataclass(frozen=True)
class Expected:
    """What must be said: the verdict, and of corruption the first place."""

    verdict: Literal["sound", "torn", "corrupt"]
    segment: str | None = None
    offset: int | None = None
    lsn: int | None = None


@dataclass
class KnownLog:
    """Write a log of some sealed segments and an active one.

    Attributes:
        directory: The files as they should be; damage a copy.
        log: How they were written.
        frames: Every frame.
        sealed: Names of the segments that the manifest lists.
        older: For each file an earlier state of it.
    """

    payloads: list[list[int]]
    segment_size: int = 8192
    directory: MemoryDirectory = field(default_factory=MemoryDirectory)
    frames: list[Frame] = field(default_factory=list)
    sealed: list[str] = field(default_factory=list)
    older: dict[str, bytes] = field(default_factory=dict)
    _open: bool = False

    def __post_init__(self) -> None:
        self.log = SmallLog(self.directory, segment_size=self.segment_size)
        for index, lengths in enumerate(self.payloads):
            if index:
                self.log.seal()
                self.sealed.append(self.log.active)
            self.older[MANIFEST] = bytes(self.directory.files[MANIFEST])
            self.log.begin()
            self._fill(lengths)

    def _fill(self, lengths: list[int]) -> None:
        half = len(lengths) // 2
        for number, length in enumerate(lengths):
            if number == half:
                # The second half of a segment proves the first.
                self.log.sync()
                self.older[self.log.active] = bytes(self.directory.files[self.log.active])
            # Each third record begins a batch of two.
            more = number % 3 == 0 and number + 1 < len(lengths) and number + 1 != half
            self._put(length, more=more)

    def _put(self, length: int, *, more: bool) -> None:
        log = self.log
        in_batch = bool(self.frames) and self.frames[-1].name == log.active and self._open
        group = len(log.records) % 2
        payload = bytes((len(log.records) + index) % 251 for index in range(length))
        lsn = log.put(payload, group=group, flags=Flag.MORE_OF_BATCH if more else 0)
        assert log.header is not None
        self.frames.append(
            Frame(
                name=log.active,
                lsn=lsn,
                start=log.header.offset_of(lsn),
                end=log.header.offset_of(log.end_lsn),
                proof_lsn=log.synced_lsn,
                batch_lsn=self.frames[-1].batch_lsn if in_batch else lsn,
                record=(lsn, group, payload),
                seq=log.seq[group],
            )
        )
        self._open = more

    @property
    def active(self) -> str:
        """The segment that is not sealed."""
        return self.log.active

    @property
    def names(self) -> list[str]:
        """Every file."""
        return [*self.sealed, self.active, MANIFEST]

    def size(self, name: str) -> int:
        return len(self.directory.files[name])

    # What must be said.

    def whole(self, damaged: MemoryDirectory) -> list[Frame]:
        """Return the frames whose bytes, and whose segment's header, are as they were written."""
        kept = []
        for frame in self.frames:
            now, was = damaged.files.get(frame.name, b""), self.directory.files[frame.name]
            same_header = now[:HEADER] == was[:HEADER]
            if same_header and now[frame.start : frame.end] == was[frame.start : frame.end]:
                kept.append(frame)
        return kept

    def expected(self, damaged: MemoryDirectory) -> Expected:
        """Say what must be found in a damaged copy; the first of several damaged files counts."""
        for name in self.sealed:
            if damaged.files[name] != self.directory.files[name]:
                return self._in_sealed(name, damaged)
        if damaged.files[self.active] != self.directory.files[self.active]:
            return self._in_active(damaged)
        if damaged.files[MANIFEST] != self.directory.files[MANIFEST]:
            return Expected("corrupt")
        return Expected("sound")

    def _in_sealed(self, name: str, damaged: MemoryDirectory) -> Expected:
        now, was = damaged.files[name], self.directory.files[name]
        if now[:HEADER] != was[:HEADER]:
            return Expected("corrupt", name)
        whole = self.whole(damaged)
        bad = [frame for frame in self.frames if frame.name == name and frame not in whole]
        footer_is_whole = now[-72:] == was[-72:] and len(now) == len(was)
        if bad and footer_is_whole and now[self._end(name) :] == was[self._end(name) :]:
            return Expected("corrupt", name, bad[0].start, bad[0].lsn)
        return Expected("corrupt", name)

    def _end(self, name: str) -> int:
        return max(frame.end for frame in self.frames if frame.name == name)

    def _in_active(self, damaged: MemoryDirectory) -> Expected:
        name = self.active
        now, was = damaged.files[name], self.directory.files[name]
        if now[:HEADER] != was[:HEADER]:
            return Expected("corrupt", name)
        whole = self.whole(damaged)
        mine = [frame for frame in self.frames if frame.name == name]
        bad = [frame for frame in mine if frame not in whole]
        rest = bytes(now[self._end(name) :]).strip(b"\0")
        if not bad:
            return Expected("torn" if rest else "sound")
        base = mine[0].lsn
        proof_lsn = max([base, *(frame.proof_lsn for frame in mine if frame in whole)])
        if bad[0].batch_lsn < proof_lsn:
            return Expected("corrupt", name, bad[0].start, bad[0].lsn)
        behind = bytes(now[HEADER + bad[0].batch_lsn - base :]).strip(b"\0")
        return Expected("torn" if behind else "sound")


def small() -> KnownLog:
    """Make a log of about 8 KiB besides headers: two sealed segments and an active one."""
    return KnownLog([[5, 0, 40, 7, 90, 33, 12], [64, 3, 17, 200, 1, 8], [11, 70, 0, 25, 130, 9, 2]])


def larger() -> KnownLog:
    """Make a log of about 64 KiB: three sealed segments of some KiB and an active one."""
    lengths = [100, 3, 700, 1500, 0, 41, 2000, 900, 256, 1024, 77, 1999, 4, 3100]
    return KnownLog([lengths, lengths[::-1], [*lengths, 9], lengths[3:]], segment_size=16384)


def four_segments() -> KnownLog:
    """Make a log of three sealed segments and an active one."""
    return KnownLog([[5, 0, 40, 7], [64, 3, 17], [11, 70, 0, 25, 6], [200, 1, 8, 30]])
