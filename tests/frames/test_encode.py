"""Frames as bytes: what encode writes, and that nothing else passes for it."""

from __future__ import annotations

import mmap
import struct

import crc32c
import pytest

from logstore import frames
from tests.frames.reference import SALT, Frame

LSN = 0x0102030405060708
CONSTANTS = {
    "FRAME_HEADER_SIZE": 32,
    "ALIGNMENT": 8,
    "IN_FLIGHT": 1 << 31,
    "MAX_PAYLOAD": 2**31 - 2,
    "NO_CLAIM": 2**32 - 1,
    "DATA": 1,
    "TXN_PART": 2,
    "TXN_COMMIT": 3,
    "TXN_ABORT": 4,
    "CHECKPOINT": 5,
    "REVERT": 6,
    "GROUP_NAME": 7,
    "MARK": 8,
    "ABORT": 9,
    "IGNORABLE": 0x80,
    "MORE_OF_BATCH": 1,
    "COMPRESSED": 2,
    "END": 0,
    "SHORT": 1,
    "BAD": 2,
    "UNKNOWN_KIND": 3,
}


def judge(data: bytes, limit_lsn: int, lsn: int = LSN) -> int:
    _, _, verdict = frames.scan(data, lsn, SALT, limit_lsn, ["default"], kinds=1 << frames.DATA)
    return verdict


@pytest.mark.parametrize(("name", "value"), CONSTANTS.items())
def test_a_constant_is_that_of_the_format(name: str, value: int) -> None:
    assert getattr(frames, name) == value


def test_no_constant_is_left_out_of_the_comparison() -> None:
    public = {name for name in frames.__all__ if name.isupper()}
    assert public == CONSTANTS.keys() | {"HARDWARE_CRC"}


def test_a_frame_has_each_field_at_its_offset() -> None:
    frame = frames.encode(
        b"payload!!", LSN, 0x1112131415161718, 0x2122, 0x31, 0x41, 0x51525354, SALT
    )
    assert len(frame) == 48
    assert frame[0:4] == b"\x0a\x00\x00\x00"
    assert frame[8:16] == bytes.fromhex("0807060504030201")
    assert frame[16:24] == bytes.fromhex("1817161514131211")
    assert frame[24:26] == bytes.fromhex("2221")
    assert frame[26] == 0x31
    assert frame[27] == 0x41
    assert frame[28:32] == bytes.fromhex("54535251")
    assert frame[32:41] == b"payload!!"
    assert frame[41:48] == bytes(7)
    crc = crc32c.crc32c(frame[0:4] + frame[8:32] + b"payload!!", SALT)
    assert struct.unpack_from("<I", frame, 4) == (crc,)


@pytest.mark.parametrize("length", [*range(70), 1000, 12345, 1 << 20])
def test_any_length_is_encoded_as_the_reference_does(length: int) -> None:
    payload = bytes(i * 7 & 0xFF for i in range(length))
    expected = Frame(payload, LSN, 9, 3, 8, 1, 44)
    assert frames.encode(payload, LSN, 9, 3, 8, 1, 44, SALT) == expected.encode()


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 33])
def test_every_single_flipped_bit_makes_the_frame_bad(length: int) -> None:
    frame = Frame(bytes(range(length)), LSN).encode()
    limit_lsn = LSN + len(frame)
    assert judge(frame, limit_lsn) == frames.END
    for bit in range(8 * len(frame)):
        damaged = bytearray(frame)
        damaged[bit // 8] ^= 1 << bit % 8
        assert judge(bytes(damaged), limit_lsn) == frames.BAD, bit


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 33])
def test_every_truncation_is_short_or_below_the_limit_bad(length: int) -> None:
    frame = Frame(bytes(range(length)), LSN).encode()
    for kept in range(len(frame)):
        assert judge(frame[:kept], LSN + len(frame)) == frames.SHORT, kept
        assert judge(frame[:kept], LSN + kept) == (frames.BAD if kept else frames.END), kept
        assert judge(frame, LSN + kept) == (frames.BAD if kept else frames.END), kept


def test_a_frame_elsewhere_or_under_another_salt_is_bad() -> None:
    frame = Frame(b"x", LSN).encode()
    assert judge(frame, LSN + 100, lsn=LSN + 8) == frames.BAD
    assert judge(Frame(b"x", LSN).encode(SALT ^ 1), LSN + 40) == frames.BAD


@pytest.mark.parametrize("limit_lsn", [LSN + 40, 2**64 - 1])
def test_a_frame_in_flight_is_bad_even_if_its_checksum_fits(limit_lsn: int) -> None:
    frame = bytearray(Frame(b"x", LSN).encode())
    frame[3] |= 0x80
    assert judge(bytes(frame), limit_lsn) == frames.BAD
    struct.pack_into("<I", frame, 4, crc32c.crc32c(frame[0:4] + frame[8:33], SALT))
    assert judge(bytes(frame), limit_lsn) == frames.BAD


@pytest.mark.parametrize("limit_lsn", [64, 2**64 - 1])
def test_zeros_are_bad_and_not_the_start_of_a_huge_frame(limit_lsn: int) -> None:
    assert judge(bytes(64), limit_lsn, lsn=0) == frames.BAD


def test_a_size_of_zero_is_bad_even_if_its_checksum_fits() -> None:
    frame = bytearray(Frame(b"", LSN).encode())
    frame[0:4] = bytes(4)
    struct.pack_into("<I", frame, 4, crc32c.crc32c(frame[0:4] + frame[8:32], SALT))
    assert judge(bytes(frame), LSN + 32) == frames.BAD


def test_a_checksum_of_zero_is_compared_as_any_other() -> None:
    frame = bytearray(Frame(b"x", LSN).encode())
    frame[4:8] = bytes(4)
    assert judge(bytes(frame), LSN + 40) == frames.BAD


def test_stale_bytes_in_the_padding_make_the_frame_bad() -> None:
    frame = bytearray(Frame(b"x", LSN).encode())
    frame[-1] = 1
    assert judge(bytes(frame), LSN + 40) == frames.BAD


@pytest.mark.parametrize(
    ("field", "greatest"),
    [
        ("lsn", 2**64 - 1),
        ("seq", 2**64 - 1),
        ("group", 2**16 - 1),
        ("kind", 255),
        ("flags", 255),
        ("distance", 2**32 - 1),
        ("salt", 2**32 - 1),
    ],
)
def test_a_field_takes_its_whole_range_and_no_more(field: str, greatest: int) -> None:
    fields = {"lsn": 0, "seq": 0, "group": 0, "kind": 0, "flags": 0, "distance": 0, "salt": 0}
    frames.encode(b"", **fields | {field: greatest})
    for value in (-1, greatest + 1):
        with pytest.raises(ValueError, match=f"{field} must be from 0 to {greatest}, not {value}"):
            frames.encode(b"", **fields | {field: value})


def test_a_payload_longer_than_a_size_can_say_is_a_value_error() -> None:
    endless = mmap.mmap(-1, frames.MAX_PAYLOAD + 1)
    with pytest.raises(ValueError, match="payload of 2147483647 bytes is longer than"):
        frames.encode(endless, 0, 0, 0, 0, 0, 0, 0)
    endless.close()
