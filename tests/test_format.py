"""The format in Python: compared with the C, with hand-written offsets, and under flipped bits."""

from __future__ import annotations

import struct

import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from logstore import format as fmt
from logstore import frames, lsn
from logstore.errors import Corruption, IncompatibleFormat
from logstore.format import FrameHeader, Kind, SegmentHeader

HEADER = SegmentHeader(
    uuid=bytes(range(16)),
    epoch=3,
    salt=0xDEADBEEF,
    base_lsn=8192,
    previous_end_lsn=8184,
    previous_digest=0x12345678,
    created_ns=1_700_000_000_000_000_000,
    compatible=4,
)


@pytest.mark.parametrize("kind", Kind)
def test_the_c_has_the_same_kinds(kind: Kind) -> None:
    assert getattr(frames, kind.name) == kind


def test_the_c_has_the_same_constants() -> None:
    assert frames.FRAME_HEADER_SIZE == fmt.FRAME_HEADER_SIZE
    assert frames.ALIGNMENT == lsn.ALIGNMENT
    assert frames.IN_FLIGHT == fmt.IN_FLIGHT
    assert frames.NO_CLAIM == fmt.NO_CLAIM
    assert frames.IGNORABLE == fmt.IGNORABLE
    assert frames.MAX_PAYLOAD == fmt.MAXIMUM_PAYLOAD
    assert fmt.Flag.MORE_OF_BATCH.value == frames.MORE_OF_BATCH
    assert fmt.Flag.COMPRESSED.value == frames.COMPRESSED


words = st.integers(0, 2**32 - 1)


@given(
    payload=st.binary(max_size=200),
    lsn=st.integers(0, 2**64 - 1),
    seq=st.integers(0, 2**64 - 1),
    group=st.integers(0, 2**16 - 1),
    kind=st.integers(0, 255),
    flags=st.integers(0, 255),
    distance=words,
    salt=words,
)
def test_the_c_makes_the_same_frames(
    payload: bytes,
    lsn: int,
    seq: int,
    group: int,
    kind: int,
    flags: int,
    distance: int,
    salt: int,
) -> None:
    frame = fmt.encode_frame(
        payload,
        lsn=lsn,
        seq=seq,
        group=group,
        kind=kind,
        flags=flags,
        distance=distance,
        salt=salt,
    )
    assert frame == frames.encode(payload, lsn, seq, group, kind, flags, distance, salt)
    assert len(frame) == fmt.span(len(payload))


def test_a_frame_has_its_fields_where_the_format_says() -> None:
    frame = fmt.encode_frame(b"pay", lsn=4096, seq=7, group=2, kind=1, distance=5, salt=9)
    assert struct.unpack("<I", frame[:4]) == (4,)
    assert struct.unpack("<QQHBBI", frame[8:32]) == (4096, 7, 2, 1, 0, 5)
    assert frame[32:] == b"pay\0\0\0\0\0"
    assert struct.unpack("<I", frame[4:8]) == (crc32c(frame[:4] + frame[8:35], 9),)


def test_a_frame_header_comes_back_whole() -> None:
    frame = fmt.encode_frame(b"pay", lsn=4096, seq=7, group=2, distance=5, salt=9)
    header = FrameHeader.decode(frame)
    assert header.encode() == frame[:32]
    assert header.payload_length == 3
    assert header.proof_lsn == 4096 - 40
    assert fmt.frame_crc(header, b"pay", 9) == header.crc
    assert header._replace(size=header.size | fmt.IN_FLIGHT).payload_length == 3


@pytest.mark.parametrize(
    ("lsn", "distance", "proof_lsn"), [(4096, 0, 4096), (80, 11, 0), (4096, fmt.NO_CLAIM, 0)]
)
def test_a_distance_proves_what_is_below_it(lsn: int, distance: int, proof_lsn: int) -> None:
    assert FrameHeader(1, 0, lsn, 0, 0, 1, 0, distance).proof_lsn == proof_lsn


def test_a_mark_comes_back_and_one_of_another_length_is_refused() -> None:
    assert fmt.decode_mark(fmt.encode_mark(123, 4096)) == (123, 4096)
    with pytest.raises(Corruption):
        fmt.decode_mark(fmt.encode_mark(123, 4096)[:-1])


def test_a_segment_header_has_its_fields_where_the_format_says() -> None:
    data = HEADER.encode()
    assert len(data) == 4096
    assert data[:8] == b"LOGSTSEG"
    assert struct.unpack("<HHIII", data[8:24]) == (1, 0, 0, 0, 4)
    assert data[24:40] == bytes(range(16))
    assert struct.unpack("<QIIQQQ", data[40:80]) == (
        3,
        0xDEADBEEF,
        0x12345678,
        8192,
        8184,
        1_700_000_000_000_000_000,
    )
    assert not any(data[80:4092])
    assert struct.unpack("<I", data[4092:]) == (crc32c(data[:4092]),) == (HEADER.crc,)


def test_a_segment_header_comes_back_whole() -> None:
    decoded = SegmentHeader.decode(HEADER.encode())
    assert decoded == HEADER
    assert decoded.crc == HEADER.crc
    assert decoded.offset_of(8200) == 4104


def test_every_flipped_bit_of_a_segment_header_is_refused() -> None:
    data = bytearray(HEADER.encode())
    for index in range(len(data)):
        for bit in range(8):
            data[index] ^= 1 << bit
            with pytest.raises(Corruption):
                SegmentHeader.decode(bytes(data))
            data[index] ^= 1 << bit


@pytest.mark.parametrize("length", [0, 7, 80, 4095])
def test_a_cut_segment_header_is_refused(length: int) -> None:
    with pytest.raises(Corruption):
        SegmentHeader.decode(HEADER.encode()[:length])


def _patched(offset: int, new: bytes) -> bytes:
    data = bytearray(HEADER.encode()[:4092])
    data[offset : offset + len(new)] = new
    return bytes(data) + struct.pack("<I", crc32c(bytes(data)))


@pytest.mark.parametrize(
    ("offset", "new"), [(8, b"\x02"), (12, b"\x01")], ids=["version 2", "an unknown feature"]
)
def test_a_sound_header_of_a_newer_version_is_incompatible(offset: int, new: bytes) -> None:
    with pytest.raises(IncompatibleFormat):
        SegmentHeader.decode(_patched(offset, new))


@pytest.mark.parametrize(
    ("offset", "new"),
    [
        (10, b"\x01"),
        (56, b"\x01"),
        (64, struct.pack("<Q", 8200)),
        (56, struct.pack("<QQ", 0, 0)),
        (56, struct.pack("<Q", 2**63)),
    ],
    ids=[
        "reserved field set",
        "base not aligned",
        "previous end behind the base",
        "base before the first LSN",
        "base behind the last LSN",
    ],
)
def test_a_sound_header_that_contradicts_itself_is_corrupt(offset: int, new: bytes) -> None:
    with pytest.raises(Corruption):
        SegmentHeader.decode(_patched(offset, new))


def test_what_a_later_version_puts_behind_the_fields_stays_in_the_checksum() -> None:
    data = _patched(200, b"more")
    assert struct.unpack("<I", data[4092:]) == (SegmentHeader.decode(data).crc,)
