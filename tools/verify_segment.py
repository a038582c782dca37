"""Verify one segment file: its frames, its footer, and what both say of the log as a whole.

The part of verify_directory.py that looks inside segments; like it, written from the description of
the formats alone, with struct and the crc32c package.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct
from struct import error as StructError
from typing import Final

from crc32c import crc32c

from tools.verify_catalog import Catalog

FRAME: Final = Struct("<IIQQHBBI")  # size crc lsn seq group kind flags distance
U32: Final = Struct("<I")
SECTION: Final = Struct("<HHI")
GROUPS: Final = Struct("<II")
GROUP: Final = Struct("<HHIQQQ")
PAIR: Final = Struct("<QQ")
TRAILER: Final = Struct("<8sQQQQI")
TRAILER_SIZE: Final = 64

DATA, TXN_PART, GROUP_NAME, MARK, ABORT = 1, 2, 7, 8, 9
KINDS: Final = range(1, 10)
RECORDS: Final = (DATA, TXN_PART)
IGNORABLE: Final = 0x80
MORE_OF_BATCH: Final = 1
NO_CLAIM: Final = 0xFFFFFFFF
FIRST_FRAME: Final = 4096  # offset of a segment's first frame, and LSN of a log's
STRIDE: Final = 64
MOST_TIMES: Final = 1024


@dataclass
class Segment:
    """One segment file, and what was found in it."""

    name: str
    base_lsn: int = 0
    end_lsn: int = 0
    epoch: int = 0
    state: str = "open"
    frames: int = 0
    records: int = 0
    header_crc: int = 0
    salt: int = 0
    digest: int = 0
    torn_bytes: int = 0
    previous: tuple[int, int] = (0, 0)


@dataclass
class Group:
    """What a group's frames have said so far."""

    last_seq: int = 0
    abort_seen: bool = False
    first_here: int = 0
    count_here: int = 0
    points: list[tuple[int, int]] = field(default_factory=list)


def valid_span(one: Segment, data: bytes, offset: int, end: int) -> int:
    """Return how many bytes the frame at an offset takes, or 0 if there is no valid one."""
    if end - offset < FRAME.size:
        return 0
    size, crc, lsn, *_ = FRAME.unpack_from(data, offset)
    span: int = (FRAME.size + size - 1 + 7) & ~7
    if size == 0 or size >> 31 or span > end - offset:
        return 0
    if lsn != one.base_lsn + offset - FIRST_FRAME:
        return 0
    after = offset + FRAME.size + size - 1
    sealed = crc32c(data[offset : offset + 4], one.salt)
    sealed = crc32c(data[offset + 8 : after], sealed)
    return span if crc == sealed and not any(data[after : offset + span]) else 0


@dataclass
class Log:
    """What the frames have said so far, in the order of the log, and what is wrong with them."""

    findings: list[str] = field(default_factory=list)
    groups: dict[int, Group] = field(default_factory=lambda: {0: Group()})
    names: dict[int, str] = field(default_factory=lambda: {0: "default"})
    marks: list[tuple[int, int]] = field(default_factory=list)
    catalog: Catalog = field(default_factory=Catalog)
    proof_lsn: int = 0
    whole: bool = True  # nothing is missing before here, or a footer has told what it said

    def blame(self, where: str, what: str) -> None:
        """Note that something is damaged."""
        self.findings.append(f"{where}: {what}")

    def contents(self, one: Segment, data: bytes) -> None:
        """Verify what is behind a segment's header."""
        for group in self.groups.values():
            group.first_here, group.count_here, group.points = 0, 0, []
            group.abort_seen |= not self.whole  # what is missing may have had any seqs
        self.marks = []
        self.catalog.begin(one.base_lsn, one.epoch)
        footer_offset = self.footer_offset(data)
        self.frames(one, data, len(data) if footer_offset is None else footer_offset)
        if footer_offset is not None:
            one.state = "sealed"
            self.footer(one, data, footer_offset)

    # Frames.

    def frames(self, one: Segment, data: bytes, end: int) -> None:
        """Go through the frames up to the footer, or to where valid ones end."""
        offset = whole = FIRST_FRAME
        whole_digest = digest = 0
        while offset < end:
            span = valid_span(one, data, offset, end)
            if span == 0:
                break
            self.frame(one, data, offset)
            digest = crc32c(data[offset : offset + span], digest)
            more = data[offset + 27] & MORE_OF_BATCH
            offset += span
            if not more:
                whole, whole_digest = offset, digest
        one.end_lsn, one.digest = one.base_lsn + whole - FIRST_FRAME, whole_digest
        one.torn_bytes = len(data[whole:end].rstrip(b"\0"))
        for later in range(offset + 8, whole + one.torn_bytes, 8):
            # Valid frames behind the end may prove that what is missing had been durable.
            if valid_span(one, data, later, end):
                lsn, distance = (FRAME.unpack_from(data, later)[at] for at in (2, 7))
                proof_lsn = 0 if distance == NO_CLAIM else lsn - 8 * distance
                self.proof_lsn = max(self.proof_lsn, proof_lsn)
        if self.proof_lsn > one.end_lsn:
            where = f"{one.name}, LSN {one.base_lsn + offset - FIRST_FRAME}"
            self.blame(where, f"no frame here, and LSN {self.proof_lsn} was durable")

    def frame(self, one: Segment, data: bytes, offset: int) -> None:
        """Note what a valid frame says."""
        size, _, lsn, seq, group, kind, flags, distance = FRAME.unpack_from(data, offset)
        payload = data[offset + FRAME.size : offset + FRAME.size + size - 1]
        one.frames += 1
        where = f"{one.name}, LSN {lsn}"
        if kind not in KINDS and not kind & IGNORABLE:
            self.blame(where, f"unknown kind {kind}")
        if flags & ~MORE_OF_BATCH:
            self.blame(where, f"unknown flags {flags:#x}")
        if distance != NO_CLAIM:
            self.claim(where, lsn - 8 * distance)
        if seq:
            last = self.groups.setdefault(group, Group()).last_seq
            if seq > last + 1:
                self.catalog.give_up(group, last + 1, seq - 1)
            self.number(where, self.groups[group], seq, lsn, kind)
        elif kind in RECORDS:
            self.blame(where, "a record without a seq")
        one.records += kind in RECORDS
        self.system(where, lsn, kind, group, payload)
        try:
            self.catalog.frame(lsn, kind, group, seq, payload)
        except (StructError, ValueError) as error:
            self.blame(where, f"a frame of kind {kind} makes no sense: {error}")

    def claim(self, where: str, proof_lsn: int) -> None:
        """What was durable when a frame was reserved only grows, in the order of the log."""
        if proof_lsn < self.proof_lsn:
            self.blame(where, f"claims {proof_lsn}, a frame before it {self.proof_lsn}")
        self.proof_lsn = max(self.proof_lsn, proof_lsn)

    def number(self, where: str, group: Group, seq: int, lsn: int, kind: int) -> None:
        """Check that a group's seq goes on; an abandoned batch took several and shows one."""
        expected = group.last_seq + 1
        if seq < expected or (seq > expected and group.last_seq and not group.abort_seen):
            self.blame(where, f"seq {seq} where {expected} was to come")
        group.last_seq = max(seq, group.last_seq)
        group.abort_seen = kind == ABORT
        group.first_here = group.first_here or seq
        if kind in RECORDS:
            if group.count_here % STRIDE == 0:
                group.points.append((seq, lsn))
            group.count_here += 1

    def system(self, where: str, lsn: int, kind: int, group: int, payload: bytes) -> None:
        """Look into frames that are no records."""
        if kind == GROUP_NAME:
            self.names[group] = payload.decode(errors="replace")
        elif kind == MARK and len(payload) == PAIR.size:
            time_ns, synced_lsn = PAIR.unpack(payload)
            self.marks.append((time_ns, lsn))
            if synced_lsn > lsn:
                self.blame(where, "a mark claims that what follows it is durable")
        elif kind == MARK:
            self.blame(where, f"a mark of {len(payload)} bytes")
        elif kind == ABORT and any(payload):
            self.blame(where, "an aborted frame holds bytes")

    # Footers.

    @staticmethod
    def footer_offset(data: bytes) -> int | None:
        """Find the footer from the trailer at the end of the file; None if there is none."""
        if len(data) < FIRST_FRAME + TRAILER_SIZE or data[-64:-56] != b"LSTRAILR":
            return None
        length: int = TRAILER.unpack_from(data, len(data) - TRAILER_SIZE)[4]
        return max(FIRST_FRAME, len(data) - length)

    def footer(self, one: Segment, data: bytes, offset: int) -> None:
        """Compare a footer with the frames before it."""
        footer = data[offset:]
        _, base_lsn, end_lsn, records, length, digest = TRAILER.unpack_from(
            footer, len(footer) - TRAILER_SIZE
        )
        if U32.unpack_from(footer, len(footer) - 4)[0] != crc32c(footer[:-4]):
            self.blame(one.name, "the footer's checksum is wrong")
            return
        checks = (
            (footer[:8] == b"LSFOOTER" and length == len(footer), "the footer has no beginning"),
            (base_lsn == one.base_lsn, "has the footer of another segment"),
            (end_lsn == one.end_lsn, f"frames end at {one.end_lsn}, the footer says {end_lsn}"),
            (records == one.records, f"has {one.records} records, the footer says {records}"),
            (digest == one.digest, "the footer's digest is not that of the frames"),
        )
        for passed, what in checks:
            if not passed:
                self.blame(one.name, what)
        self.sections(one, footer[8:-64])

    def sections(self, one: Segment, data: bytes) -> None:
        """Compare the index with the frames it was made from."""
        offset = 0
        found: dict[int, bytes] = {}
        while offset + SECTION.size <= len(data):
            kind, flags, length = SECTION.unpack_from(data, offset)
            offset += SECTION.size
            found[kind] = data[offset : offset + length]
            if kind > 5 and not flags & 1:
                self.blame(one.name, f"unknown section {kind} in the footer")
            offset += (length + 7) & ~7
        if offset != len(data):
            self.blame(one.name, "a section of the footer is cut off")
        readings = found.get(2, b"")
        times = [PAIR.unpack_from(readings, at) for at in range(0, len(readings) // 16 * 16, 16)]
        if len(readings) % 16 or len(times) > MOST_TIMES or not set(times) <= set(self.marks):
            self.blame(one.name, "the footer's times are not those of its marks")
        try:
            self.index(one, found.get(1, b""))
            self.meaning(one, found)
        except (StructError, UnicodeDecodeError) as error:
            self.blame(one.name, f"the footer's sections make no sense: {error}")

    def index(self, one: Segment, data: bytes) -> None:
        """Compare each group's entry with its frames."""
        count, stride = GROUPS.unpack_from(data)
        offset = GROUPS.size
        listed: set[int] = set()
        for _ in range(count):
            number, name_length, points, first, last, records = GROUP.unpack_from(data, offset)
            offset += GROUP.size
            name = data[offset : offset + name_length].decode()
            offset += (name_length + 7) & ~7
            pairs = [PAIR.unpack_from(data, offset + 16 * at) for at in range(points)]
            offset += 16 * points
            listed.add(number)
            group = self.groups.get(number, Group())
            if not self.whole:
                self.names[number] = name
                if not group.first_here:
                    group.last_seq, group.abort_seen = last, True
                self.groups[number] = group
            said = (first, last, records, pairs, name)
            seen = (group.first_here, group.last_seq, group.count_here, group.points)
            if said != (*seen, self.names.get(number, f"#{number}")):
                self.blame(one.name, f"the footer's entry of group {number} is not what frames say")
        if stride != STRIDE or listed != self.groups.keys() | self.names.keys():
            self.blame(one.name, "the footer does not list the groups there are")

    def meaning(self, one: Segment, found: dict[int, bytes]) -> None:
        """Compare the sections about checkpoints, transactions and reverts with the frames."""
        implied = {}
        for number, group in self.groups.items():
            end = group.points[0][0] if group.points else group.last_seq + 1
            if 0 < group.first_here < end:
                implied[number] = (group.first_here, end - 1)
        if not self.whole:
            self.catalog.adopt(found, implied)
            self.whole = True
        expected = self.catalog.sections(implied)
        for kind in (3, 4, 5):
            if expected.get(kind) != found.get(kind):
                self.blame(one.name, f"section {kind} of the footer is not what frames say")
