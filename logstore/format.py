"""The bytes of frames and segment headers, in pure Python: the specification that the C obeys.

Nothing here touches a file. The C in `frames` is what runs; a test compares the two, and tools
that must not trust the C use this. All numbers are little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import Any, Final, NamedTuple, Self

from logstore.errors import Corruption, IncompatibleFormat
from logstore.frames import crc32c
from logstore.lsn import ALIGNMENT, FIRST_LSN, MAXIMUM_LSN

VERSION: Final = 1
"""The version of everything on disk; any change of a byte makes a new one."""


def padded(length: int) -> int:
    """Return the next multiple of 8, the alignment of all that is stored."""
    return (length + ALIGNMENT - 1) & -ALIGNMENT


# Frames.

FRAME_HEADER_SIZE: Final = 32
IN_FLIGHT: Final = 0x80000000
"""Top bit of a frame's size while it is being filled; never in a file."""
NO_CLAIM: Final = 0xFFFFFFFF
"""A distance that proves nothing."""
IGNORABLE: Final = 0x80
"""Bit of a kind: whoever does not know the kind may skip the frame."""
MAXIMUM_PAYLOAD: Final = IN_FLIGHT - 2
"""The largest payload that the size field can say; rings allow far less."""

_FRAME: Final = struct.Struct("<IIQQHBBI")
_MARK: Final = struct.Struct("<QQ")


class Kind(IntEnum):
    """What a frame is."""

    DATA = 1
    TXN_PART = 2
    TXN_COMMIT = 3
    TXN_ABORT = 4
    CHECKPOINT = 5
    REVERT = 6
    GROUP_NAME = 7
    """Payload: the name in UTF-8; the group field is the id that it names."""
    MARK = 8
    """Payload: wall-clock time in ns and the synced watermark."""
    ABORT = 9
    """An abandoned reservation; payload: zeros."""


class Flag(IntFlag):
    """What more there is to say about a frame."""

    MORE_OF_BATCH = 1
    """On all frames of a batch but the last."""
    COMPRESSED = 2
    """Reserved."""


class FrameHeader(NamedTuple):
    """The 32 bytes before a payload, field by field in their order."""

    size: int
    crc: int
    lsn: int
    seq: int
    group: int
    kind: int
    flags: int
    distance: int

    @property
    def payload_length(self) -> int:
        """The bytes of payload; size is one more, so that zeros are never a frame."""
        return (self.size & ~IN_FLIGHT) - 1

    @property
    def proof_lsn(self) -> int:
        """The position below which everything was durable before this frame existed."""
        return 0 if self.distance == NO_CLAIM else max(0, self.lsn - ALIGNMENT * self.distance)

    def encode(self) -> bytes:
        """Return the 32 bytes."""
        return _FRAME.pack(*self)

    @classmethod
    def decode(cls, data: bytes, offset: int = 0) -> Self:
        """Take 32 bytes apart without judging them."""
        return cls(*_FRAME.unpack_from(data, offset))


def span(payload_length: int) -> int:
    """Return the bytes that a frame takes, header and padding included."""
    return padded(FRAME_HEADER_SIZE + payload_length)


def frame_crc(header: FrameHeader, payload: bytes, salt: int) -> int:
    """Return the checksum of a frame: of its header without this very field, and its payload."""
    encoded = header._replace(size=header.size & ~IN_FLIGHT).encode()
    return crc32c(payload, crc32c(encoded[8:], crc32c(encoded[:4], salt)))


def encode_frame(
    payload: bytes,
    *,
    lsn: int,
    seq: int = 0,
    group: int = 0,
    kind: int = Kind.DATA,
    flags: int = 0,
    distance: int = NO_CLAIM,
    salt: int = 0,
) -> bytes:
    """Return a whole frame, with the zeros that pad it."""
    header = FrameHeader(len(payload) + 1, 0, lsn, seq, group, kind, flags, distance)
    header = header._replace(crc=frame_crc(header, payload, salt))
    return (header.encode() + payload).ljust(span(len(payload)), b"\0")


def encode_mark(time_ns: int, synced_lsn: int) -> bytes:
    """Return the payload of a MARK frame."""
    return _MARK.pack(time_ns, synced_lsn)


def decode_mark(payload: bytes) -> tuple[int, int]:
    """Return the wall-clock time in ns and the synced watermark of a MARK frame's payload.

    Raises:
        Corruption: It has not 16 bytes.
    """
    if len(payload) != _MARK.size:
        raise Corruption(f"the payload of a mark has {len(payload)} bytes instead of {_MARK.size}")
    time_ns, synced_lsn = _MARK.unpack(payload)
    return time_ns, synced_lsn


# Segment headers.

SEGMENT_HEADER_SIZE: Final = 4096
SEGMENT_MAGIC: Final = b"LOGSTSEG"

_SEGMENT: Final = struct.Struct("<8sHHIII16sQIIQQQ")
_CRC: Final = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """The first 4 KiB of a segment file.

    Attributes:
        uuid: The log that the segment belongs to, 16 bytes.
        epoch: The incarnation of the log that wrote it.
        salt: Seed of its frames' checksums, new in each epoch.
        base_lsn: Position of its first frame.
        previous_end_lsn: Where the segment before it ends; 0 if it is the first ever.
        previous_digest: The checksum of that segment's header, which makes headers a chain.
        created_ns: Wall-clock time.
        incompatible: Features without which the segment cannot be read.
        read_only_compatible: Features without which the segment can be read, but not changed.
        compatible: Features that may be ignored.
        stored_crc: The checksum found in the file; it also covers what a later version may have
            put behind the fields that are known here.
    """

    uuid: bytes
    epoch: int
    salt: int
    base_lsn: int
    previous_end_lsn: int = 0
    previous_digest: int = 0
    created_ns: int = 0
    incompatible: int = 0
    read_only_compatible: int = 0
    compatible: int = 0
    stored_crc: int | None = field(default=None, compare=False, repr=False)

    def encode(self) -> bytes:
        """Return the 4096 bytes."""
        fields = _SEGMENT.pack(
            SEGMENT_MAGIC,
            VERSION,
            0,
            self.incompatible,
            self.read_only_compatible,
            self.compatible,
            self.uuid,
            self.epoch,
            self.salt,
            self.previous_digest,
            self.base_lsn,
            self.previous_end_lsn,
            self.created_ns,
        )
        body = fields.ljust(SEGMENT_HEADER_SIZE - _CRC.size, b"\0")
        return body + _CRC.pack(crc32c(body))

    @property
    def crc(self) -> int:
        """The checksum in the last word: what the next segment calls `previous_digest`."""
        if self.stored_crc is not None:
            return self.stored_crc
        return int(_CRC.unpack_from(self.encode(), SEGMENT_HEADER_SIZE - _CRC.size)[0])

    def offset_of(self, lsn: int) -> int:
        """Return where in the file the frame at `lsn` lies."""
        return SEGMENT_HEADER_SIZE + lsn - self.base_lsn

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the header from the first 4096 bytes of a segment.

        Raises:
            Corruption: They are not what was written.
            IncompatibleFormat: They are sound, but from a version that is not known here.
        """
        if len(data) < SEGMENT_HEADER_SIZE:
            raise Corruption(f"a segment's header has {SEGMENT_HEADER_SIZE} bytes, not {len(data)}")
        body = data[: SEGMENT_HEADER_SIZE - _CRC.size]
        (crc,) = _CRC.unpack_from(data, len(body))
        if not body.startswith(SEGMENT_MAGIC):
            raise Corruption("this is no segment: its magic is missing")
        if crc != crc32c(body):
            raise Corruption("the checksum of a segment's header is wrong")
        return cls._judge(_SEGMENT.unpack_from(body), crc)

    @classmethod
    def _judge(cls, fields: tuple[Any, ...], crc: int) -> Self:
        _, version, reserved, incompatible, read_only, compatible, uuid, epoch, salt = fields[:9]
        previous_digest, base_lsn, previous_end_lsn, created_ns = fields[9:]
        if version != VERSION:
            raise IncompatibleFormat(f"segment format {version} is not known here, only {VERSION}")
        if incompatible:
            raise IncompatibleFormat(f"segment needs unknown features 0x{incompatible:08x}")
        if base_lsn % ALIGNMENT or not FIRST_LSN <= base_lsn <= MAXIMUM_LSN:
            raise Corruption(f"a segment cannot begin at {base_lsn}")
        if reserved or previous_end_lsn > base_lsn:
            raise Corruption("the fields of a segment's header contradict each other")
        return cls(
            uuid=uuid,
            epoch=epoch,
            salt=salt,
            base_lsn=base_lsn,
            previous_end_lsn=previous_end_lsn,
            previous_digest=previous_digest,
            created_ns=created_ns,
            incompatible=incompatible,
            read_only_compatible=read_only,
            compatible=compatible,
            stored_crc=crc,
        )
