"""Making the checksums and lengths of changed bytes right again, so that a parser reads on."""

from __future__ import annotations

import struct
from typing import Final

from crc32c import crc32c

from tests.frames.reference import FIRST_LSN, SALT

WORD: Final = struct.Struct("<I")


def sealed_text(data: bytes) -> bytes:
    """Give a text the last line that it should have."""
    body = data.rpartition(b"crc ")[0] or data
    return body + b"crc %08x\n" % crc32c(body)


def sealed_header(data: bytes) -> bytes:
    """Make a segment's header of some bytes."""
    body = b"LOGSTSEG" + data[8:4092].ljust(4084, b"\0")
    return body + WORD.pack(crc32c(body))


def sealed_footer(data: bytes) -> bytes:
    """Make a footer of some bytes: its magics, its length and its checksum."""
    data = data.ljust(72, b"\0")
    trailer = b"LSTRAILR" + data[-56:-32] + struct.pack("<Q", len(data)) + data[-24:-4]
    whole = b"LSFOOTER" + data[8:-64] + trailer
    return whole + WORD.pack(crc32c(whole))


def sealed_snapshot(data: bytes) -> bytes:
    """Make a snapshot of some bytes."""
    body = b"LOGSTSNP" + data[8:-4]
    return body + WORD.pack(crc32c(body))


def sealed_frames(
    data: bytes, *, lsn: int = FIRST_LSN, salt: int = SALT, most: int = 1000
) -> bytes:
    """Cut some bytes into frames as their sizes say, at most so many, and make each one valid."""
    whole, offset = bytearray(data), 0
    while most and len(whole) - offset >= 32:
        most -= 1
        room = len(whole) - offset - 32
        length = min(max(WORD.unpack_from(whole, offset)[0] & 0x7FFFFFFF, 1) - 1, room // 8 * 8)
        end = offset + 32 + length
        span = (32 + length + 7) // 8 * 8
        struct.pack_into("<I4xQ", whole, offset, length + 1, (lsn + offset) % 2**64)
        whole[offset + 4 : offset + 8] = bytes(4)
        crc = crc32c(whole[offset + 8 : end], crc32c(whole[offset : offset + 4], salt))
        WORD.pack_into(whole, offset + 4, crc)
        whole[end : offset + span] = bytes(offset + span - end)
        offset += span
    return bytes(whole)
