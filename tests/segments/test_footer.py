"""Footers: what they say, and that damage never makes them say something else."""

from __future__ import annotations

import struct

import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from logstore.errors import Corruption, IncompatibleFormat
from logstore.segments.footer import Footer, GroupRange, Section, TimePoint, read_footer
from logstore.segments.points import Points
from tests.memory_directory import MemoryDirectory
from tests.segments.small_log import content, cut, three_segments

SAMPLE = Footer(
    base_lsn=4096,
    end_lsn=8192,
    record_count=70,
    frames_digest=0xDEADBEEF,
    groups=(
        GroupRange(0, "default", 5, 74, 70, Points([(5, 4096), (69, 8000)])),
        GroupRange(3, "Bücher", 0, 9, 0),
    ),
    times=(TimePoint(1_700_000_000_000_000_000, 5000),),
    others=(Section(4, 0, b"abc"), Section(99, 1, b"")),
)

numbers = st.integers(0, 2**64 - 1)
ranges = st.builds(
    GroupRange,
    id=st.integers(0, 2**16 - 1),
    name=st.text(max_size=20),
    first_seq=numbers,
    last_seq=numbers,
    record_count=numbers,
    points=st.lists(st.tuples(numbers, numbers), max_size=3).map(Points),
)


@given(
    groups=st.lists(ranges, max_size=5, unique_by=lambda group: group.id),
    times=st.lists(st.builds(TimePoint, numbers, numbers), max_size=5),
    others=st.lists(
        st.builds(Section, st.integers(3, 5), st.just(0), st.binary(max_size=9)),
        unique_by=lambda section: section.type,
    ),
)
def test_every_footer_comes_back(
    groups: list[GroupRange], times: list[TimePoint], others: list[Section]
) -> None:
    ordered = tuple(sorted(groups, key=lambda group: group.id))
    footer = Footer(8, 16, 1, 2, ordered, tuple(times), tuple(others))
    assert Footer.decode(footer.encode()) == footer
    assert len(footer.encode()) % 8 == 0


def test_it_has_its_fields_where_the_format_says() -> None:
    data = SAMPLE.encode()
    assert data[:8] == b"LSFOOTER"
    assert struct.unpack("<HHI", data[8:16]) == (1, 0, 120)
    assert struct.unpack("<II", data[16:24]) == (2, 64)
    assert struct.unpack("<HHIQQQ", data[24:56]) == (0, 7, 2, 5, 74, 70)
    assert data[56:64] == b"default\0"
    assert struct.unpack("<QQQQ", data[64:96]) == (5, 4096, 69, 8000)
    assert struct.unpack("<HHIQQQ", data[96:128]) == (3, 7, 0, 0, 9, 0)
    assert data[128:136] == "Bücher".encode() + b"\0"
    assert struct.unpack("<HHI", data[136:144]) == (2, 0, 16)
    assert struct.unpack("<QQ", data[144:160]) == SAMPLE.times[0]
    assert data[160:176] == struct.pack("<HHI", 4, 0, 3) + b"abc\0\0\0\0\0"
    assert data[176:184] == struct.pack("<HHI", 99, 1, 0)
    trailer = data[184:]
    assert len(trailer) == 64
    assert trailer[:8] == b"LSTRAILR"
    assert struct.unpack("<QQQQI", trailer[8:44]) == (4096, 8192, 70, len(data), 0xDEADBEEF)
    assert not any(trailer[44:60])
    assert struct.unpack("<I", trailer[60:]) == (crc32c(data[:-4]),)


def test_names_are_listed_by_id() -> None:
    assert SAMPLE.names() == ["default", "#1", "#2", "Bücher"]
    assert Footer(8, 8, 0, 0).names() == []


def test_every_flipped_bit_is_refused() -> None:
    data = bytearray(SAMPLE.encode())
    for index in range(len(data)):
        for bit in range(8):
            data[index] ^= 1 << bit
            with pytest.raises(Corruption):
                Footer.decode(bytes(data))
            data[index] ^= 1 << bit


def test_every_truncation_is_refused() -> None:
    data = SAMPLE.encode()
    for length in range(len(data)):
        with pytest.raises(Corruption):
            Footer.decode(data[:length])


def _with_body(body: bytes) -> bytes:
    trailer = struct.pack("<8sQQQQI16x", b"LSTRAILR", 8, 16, 0, 8 + len(body) + 64, 0)
    whole = b"LSFOOTER" + body + trailer
    return whole + struct.pack("<I", crc32c(whole))


@given(st.binary(max_size=200))
def test_hostile_sections_with_a_right_checksum_are_refused_or_read_and_nothing_else(
    body: bytes,
) -> None:
    try:
        footer = Footer.decode(_with_body(body))
    except (Corruption, IncompatibleFormat):
        return
    assert len(footer.encode()) >= 80


@given(st.integers(0, 2**32 - 1), st.binary(max_size=100))
def test_hostile_groups_with_a_right_checksum_are_refused_or_read_and_nothing_else(
    count: int, rest: bytes
) -> None:
    groups = struct.pack("<II", count, 64) + rest
    body = struct.pack("<HHI", 1, 0, len(groups)) + groups + bytes(-len(groups) % 8)
    try:
        footer = Footer.decode(_with_body(body))
    except Corruption:
        return
    assert len(footer.groups) == count


@pytest.mark.parametrize(
    "body",
    [
        struct.pack("<HH", 2, 0),
        struct.pack("<HHI", 2, 0, 16) + bytes(8),
        2 * struct.pack("<HHI", 2, 0, 0),
        struct.pack("<HHI", 2, 0, 8) + bytes(8),
        struct.pack("<HHI", 1, 0, 4) + bytes(8),
        struct.pack("<HHIII", 1, 0, 8, 1, 64),
        struct.pack("<HHIII", 1, 0, 16, 0, 64) + bytes(8),
        struct.pack("<HHIII", 1, 0, 72, 2, 64) + 2 * struct.pack("<HHIQQQ", 1, 0, 0, 0, 0, 0),
    ],
    ids=[
        "a cut section header",
        "a cut section",
        "the same section twice",
        "half a time",
        "no room for the count",
        "fewer groups than counted",
        "bytes behind the groups",
        "the same group twice",
    ],
)
def test_sections_that_make_no_sense_are_corrupt(body: bytes) -> None:
    with pytest.raises(Corruption):
        Footer.decode(_with_body(body))


def test_an_unknown_section_is_kept_if_it_may_be_ignored_and_refused_if_not() -> None:
    body = struct.pack("<HHI", 77, 1, 3) + b"new\0\0\0\0\0"
    assert Footer.decode(_with_body(body)).others == (Section(77, 1, b"new"),)
    with pytest.raises(IncompatibleFormat, match="type 77"):
        Footer.decode(_with_body(struct.pack("<HHI", 77, 0, 3) + b"new\0\0\0\0\0"))


def test_an_unsealed_segment_has_no_footer() -> None:
    log = three_segments(MemoryDirectory())
    assert read_footer(log.directory, log.active) is None
    cut(log.directory, log.active, 4096)
    assert read_footer(log.directory, log.active) is None
    cut(log.directory, log.active, 10)
    assert read_footer(log.directory, log.active) is None


def test_a_footer_longer_than_the_first_read_is_read_whole() -> None:
    directory = MemoryDirectory()
    name = "00000000000000004096.seg"
    many = tuple(TimePoint(number, 4096) for number in range(10_000))
    footer = Footer(4096, 4104, 0, 0, times=many)
    directory.files[name] = bytearray(4096 + 8) + footer.encode()
    assert read_footer(directory, name) == footer


def test_a_footer_of_another_segment_or_at_another_place_is_corruption() -> None:
    log = three_segments(MemoryDirectory())
    first, second, _ = sorted(name for name in log.directory.names() if name.endswith(".seg"))
    whole = content(log.directory, first)
    directory = MemoryDirectory()
    directory.files[second] = bytearray(whole)
    with pytest.raises(Corruption, match="belongs to the segment at LSN 4096"):
        read_footer(directory, second)
    directory.files[first] = bytearray(whole[:4096] + bytes(8) + whole[4096:])
    with pytest.raises(Corruption, match="do not meet") as caught:
        read_footer(directory, first)
    assert caught.value.segment == first
    assert caught.value.offset == 4096 + 8 + (4264 - 4096)


@pytest.mark.parametrize("length", [0, 1, 63, 72, 2**63, 2**64 - 1])
def test_a_trailer_with_an_impossible_length_is_corruption(length: int) -> None:
    log = three_segments(MemoryDirectory())
    assert isinstance(log.directory, MemoryDirectory)
    data = log.directory.files["00000000000000004096.seg"]
    data[-64 + 32 : -64 + 40] = struct.pack("<Q", length)
    with pytest.raises(Corruption):
        read_footer(log.directory, "00000000000000004096.seg")


@pytest.mark.parametrize("spare", [8, 4096, 1 << 20])
def test_a_footer_is_read_right_while_the_file_is_cut_behind_it(spare: int) -> None:
    directory = MemoryDirectory()
    three_segments(directory)
    name = min(n for n in directory.files if n.endswith(".seg"))
    whole = read_footer(directory, name)
    size = len(directory.files[name])
    directory.files[name].extend(bytes(spare))  # as it was before the last step of sealing

    def cut_now(call: str) -> None:
        if call == "read":
            del directory.files[name][size:]

    directory.fault = cut_now
    assert read_footer(directory, name) in (whole, None)
    assert read_footer(directory, name) == whole
