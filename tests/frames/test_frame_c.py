"""What frame.h gives to the ring and not to Python, called in a library that is built here."""

from __future__ import annotations

import ctypes
import struct

import pytest

from tests.frames.building import build
from tests.frames.reference import SALT, Frame

EXPORTS = """
#include "frames/frame.h"
uint32_t distance(uint64_t lsn, uint64_t synced_lsn) { return ls_frame_distance(lsn, synced_lsn); }
uint64_t word(uint32_t size, uint32_t crc) { return ls_frame_word(size, crc); }
uint64_t span(uint64_t payload_length) { return ls_span(payload_length); }
void publish(struct ls_frame *frame, uint64_t word)
{
    *ls_frame_atomic_word(frame) = word;
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    loaded = build(tmp_path_factory.mktemp("frame_c"), EXPORTS, ["frame.c", "crc32c.c"])
    loaded.word.restype = loaded.span.restype = ctypes.c_uint64
    loaded.distance.restype = loaded.ls_frame_crc.restype = ctypes.c_uint32
    return loaded


def test_the_checksum_is_the_same_while_the_frame_is_in_flight(library: ctypes.CDLL) -> None:
    frame = bytearray(Frame(b"payload").encode())
    (crc,) = struct.unpack_from("<I", frame, 4)
    for size, word in ((8, crc), (8 | 1 << 31, crc), (8 | 1 << 31, 0xABCD)):
        struct.pack_into("<II", frame, 0, size, word)
        header = ctypes.c_char_p(bytes(frame[:32]))
        assert library.ls_frame_crc(header, ctypes.c_char_p(b"payload"), 7, SALT) == crc


def test_one_store_of_the_word_sets_size_and_crc(library: ctypes.CDLL) -> None:
    whole = Frame(b"payload").encode()
    frame = ctypes.create_string_buffer(bytes(8) + whole[8:32], 32)
    size, crc = struct.unpack_from("<II", whole)
    library.publish(frame, ctypes.c_uint64(library.word(size, crc)))
    assert frame.raw == whole[:32]


@pytest.mark.parametrize(
    ("lsn", "synced_lsn", "distance"),
    [
        (4096, 4096, 0),
        (4096, 4088, 1),
        (4096, 5000, 0),
        (4096, 4095, 1),
        (4096, 0, 512),
        (8 * 0xFFFFFFFE, 0, 0xFFFFFFFE),
        (8 * 0xFFFFFFFF, 0, 0xFFFFFFFF),
        (8 * 0xFFFFFFFF + 8, 0, 0xFFFFFFFF),
        (2**64 - 8, 0, 0xFFFFFFFF),
        (2**64 - 8, 2**64 - 16, 1),
        (2**64 - 8, 1, 0xFFFFFFFF),
    ],
)
def test_a_distance_never_claims_more_than_was_synced(
    library: ctypes.CDLL, lsn: int, synced_lsn: int, distance: int
) -> None:
    assert library.distance(ctypes.c_uint64(lsn), ctypes.c_uint64(synced_lsn)) == distance


def test_a_span_is_header_and_payload_rounded_up(library: ctypes.CDLL) -> None:
    for length in (0, 1, 7, 8, 9, 1000, (1 << 31) - 2, (1 << 32) - 1):
        assert library.span(ctypes.c_uint64(length)) == 32 + -(-length // 8) * 8
