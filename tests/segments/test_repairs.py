"""REPAIRS: what it says comes back, and anything else is corrupt."""

from __future__ import annotations

import pytest

from logstore.errors import Corruption
from logstore.segments.repairs import Hole, Lost, Repairs, Resumed
from logstore.segments.whole_file import crc_line

SAMPLE = Repairs(
    holes=(Hole(8192, 12288), Hole(16384, 20480)),
    lost=(Lost(5, 0, 1300, 1310),),
    resumed=(Resumed(5, 40960),),
    unfinished=Resumed(8, 81920),
)
TEXT = SAMPLE.encode().decode()


def sealed(text: str) -> bytes:
    body = text.rpartition("crc ")[0].encode("latin-1")
    return body + crc_line(body)


def test_it_is_the_text_that_the_format_says() -> None:
    assert TEXT.splitlines()[:-1] == [
        "logstore-repairs 1",
        "unfinished 8 81920",
        "resumed 5 40960",
        "hole 00000000000000008192 00000000000000012288",
        "hole 00000000000000016384 00000000000000020480",
        "lost 5 0 1300 1310",
    ]
    assert Repairs.decode(SAMPLE.encode()) == SAMPLE
    assert Repairs.decode(Repairs().encode()) == Repairs()


def test_every_bit_counts() -> None:
    data = bytearray(SAMPLE.encode())
    for bit in range(len(data) * 8):
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Corruption):
            Repairs.decode(bytes(data))
        data[bit // 8] ^= 1 << bit % 8


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("repairs 1", "repairs 2"),
        ("lost 5 0", "lost five 0"),
        ("lost 5 0 1300", "lost 5 0 \xff"),
        ("lost 5 0 1300 1310", "lost 5 0"),
        ("lost 5 0 1300 1310", "lost 5 0 1300 1310 1"),
        ("lost 5 0 1300", "lost 5 65536 1300"),
        ("lost 5 0 1300", "lost 5 0 0"),
        ("lost 5 0 1300", "lost 5 0 1311"),
        ("lost 5 0 1300", "lost 5 0 +1300"),
        ("resumed 5", "resumed 18446744073709551616"),
        ("resumed 5 40960", "resumed 5 9223372036854775808"),
        ("resumed 5", "found 5"),
        ("unfinished 8", "unfinished 8 8\nunfinished 8"),
        ("00000000000000012288", "00000000000000004096"),
        ("00000000000000012288", "00000000000000016384"),
        ("00000000000000012288", "12288"),
        ("unfinished 8 81920\nresumed 5 40960", "resumed 5 40960\nunfinished 8 81920"),
        ("lost 5 0 1300 1310\n", ""),
    ],
)
def test_a_text_with_a_right_checksum_but_no_sense_is_refused(old: str, new: str) -> None:
    assert old in TEXT
    changed = TEXT.replace(old, new)
    if new:
        with pytest.raises(Corruption):
            Repairs.decode(sealed(changed))
    else:
        assert Repairs.decode(sealed(changed)).lost == ()


@pytest.mark.parametrize("text", ["crc ", "logstore-repairs 1crc ", "\ncrc "])
def test_no_text_at_all_is_corrupt(text: str) -> None:
    with pytest.raises(Corruption):
        Repairs.decode(sealed(text))
