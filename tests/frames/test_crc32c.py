"""The checksum in C against the package `crc32c`, over lengths, alignments and running values."""

from __future__ import annotations

import random
from collections.abc import Callable

import crc32c as package
import pytest

from logstore import frames

RANDOM = random.Random(2024)
BYTES = RANDOM.randbytes(1 << 20)

# Around every length at which the C takes another path: words, three short lanes, three long ones.
LONG_LENGTHS = [
    boundary + step
    for boundary in (384, 768, 3 * 4096, 6 * 4096, 3 * 4096 + 384, 65536)
    for step in (-9, -8, -1, 0, 1, 7, 8, 9)
]

Checksum = Callable[..., int]
both = pytest.mark.parametrize("checksum", [frames.crc32c, frames.crc32c_portable])


@both
def test_the_check_value_of_the_standard_comes_out(checksum: Checksum) -> None:
    assert checksum(b"123456789") == 0xE3069283


@both
def test_every_length_to_600_agrees_with_the_package(checksum: Checksum) -> None:
    for length in range(601):
        data = BYTES[length : 2 * length]
        assert checksum(data) == package.crc32c(data), length


@both
def test_long_inputs_agree_with_the_package(checksum: Checksum) -> None:
    lengths = LONG_LENGTHS + [RANDOM.randrange(len(BYTES)) for _ in range(20)]
    for length in lengths:
        assert checksum(BYTES[:length]) == package.crc32c(BYTES[:length]), length


@both
def test_unaligned_starts_agree_with_the_package(checksum: Checksum) -> None:
    view = memoryview(BYTES)
    for start in range(65):
        for length in (0, 1, 7, 8, 31, 64, 385, 12297):
            piece = view[start : start + length]
            assert checksum(piece) == package.crc32c(piece), (start, length)


@both
def test_a_running_value_continues_over_any_split(checksum: Checksum) -> None:
    data = BYTES[:30000]
    whole = package.crc32c(data, 77)
    for _ in range(50):
        split = RANDOM.randrange(len(data))
        assert checksum(data[split:], checksum(data[:split], 77)) == whole, split


@both
def test_a_value_is_the_running_value_of_the_package(checksum: Checksum) -> None:
    for value in (0, 1, 0x80000000, 0xFFFFFFFF, *(RANDOM.getrandbits(32) for _ in range(50))):
        assert checksum(b"", value) == value
        assert checksum(b"salted", value=value) == package.crc32c(b"salted", value)


@both
def test_any_contiguous_buffer_is_taken(checksum: Checksum) -> None:
    expected = package.crc32c(bytes(range(240)))
    assert checksum(bytearray(range(240))) == expected
    assert checksum(memoryview(bytes(range(240))).cast("I")) == expected
    assert checksum(data=bytes(range(240))) == expected


@both
@pytest.mark.parametrize("value", [-1, 1 << 32, 1 << 70])
def test_a_value_beyond_32_bits_is_a_value_error(checksum: Checksum, value: int) -> None:
    with pytest.raises(ValueError, match="value must be from 0 to 4294967295"):
        checksum(b"", value)


@both
def test_what_is_no_buffer_or_no_integer_is_a_type_error(checksum: Checksum) -> None:
    with pytest.raises(TypeError):
        checksum("text")
    with pytest.raises(TypeError):
        checksum(b"", 1.5)
    with pytest.raises(BufferError):
        checksum(memoryview(b"every second")[::2])


def test_the_hardware_is_used_where_the_package_finds_it() -> None:
    assert package.hardware_based is frames.HARDWARE_CRC
