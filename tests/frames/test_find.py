"""Finding one frame: by its place, or by its seq."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstore.frames import (
    BAD,
    DATA,
    END,
    IGNORABLE,
    MARK,
    NO_CLAIM,
    SHORT,
    TXN_PART,
    UNKNOWN_KIND,
    Record,
    encode,
    find,
    frame_at,
    scan,
)

NAMES = ["default", "orders"]
SALT = 77
START = 4096
ALL = (1 << 64) - 1

frames = st.lists(
    st.tuples(st.sampled_from([DATA, TXN_PART, MARK]), st.integers(0, 1), st.binary(max_size=40)),
    max_size=30,
)


def laid_out(described: list[tuple[int, int, bytes]]) -> tuple[bytes, list[Record]]:
    """Return frames one behind the other, and what a scan makes of them."""
    data, seqs = b"", [0, 0]
    for kind, group, payload in described:
        seqs[group] += kind != MARK
        seq = seqs[group] if kind != MARK else 0
        data += encode(payload, START + len(data), seq, group, kind, 0, NO_CLAIM, SALT)
    records, end_lsn, _ = scan(data, START, SALT, START + len(data), NAMES, kinds=ALL)
    assert end_lsn == START + len(data)
    return data, records


@given(frames)
def test_every_frame_is_the_one_that_a_scan_gives(described: list[tuple[int, int, bytes]]) -> None:
    data, records = laid_out(described)
    end_lsn = START + len(data)
    for record in records:
        at = record.lsn - START
        assert frame_at(data, at, record.lsn, SALT, end_lsn, NAMES) == record
        assert frame_at(data[: at + 31], at, record.lsn, SALT, end_lsn, NAMES) == SHORT
        assert frame_at(data, at, record.lsn, SALT, record.lsn + 24, NAMES) == BAD
        if record.kind != MARK:
            group = NAMES.index(record.group)
            found = find(data, 0, START, SALT, end_lsn, NAMES, group, record.seq)
            assert found == record
            assert find(data, at, record.lsn, SALT, end_lsn, NAMES, group, record.seq) == record
    assert find(data, 0, START, SALT, end_lsn, NAMES, 0, 99) == (end_lsn, END)


def test_a_walk_ends_at_the_end_of_the_bytes_and_before_a_higher_seq() -> None:
    data, records = laid_out([(DATA, 0, b"0123456789")] * 10)
    third = records[2].lsn
    cut = data[: third - START + 40]
    assert find(cut, 0, START, SALT, START + len(data), NAMES, 0, 9) == (third, SHORT)
    gap = data[: third - START] + encode(b"", third, 5, 0, DATA, 0, NO_CLAIM, SALT)
    assert find(gap, 0, START, SALT, START + len(gap), NAMES, 0, 4) == (third, END)


def test_damage_is_found_in_the_record_itself_and_stepped_over_before_it() -> None:
    data, records = laid_out([(DATA, 0, b"0123456789")] * 10)
    end_lsn, third = START + len(data), records[2].lsn
    for at in range(third - START, records[3].lsn - START):
        bad = bytearray(data)
        bad[at] ^= 1
        assert frame_at(bad, third - START, third, SALT, end_lsn, NAMES) == BAD
        assert not isinstance(find(bad, 0, START, SALT, end_lsn, NAMES, 0, 3), Record)
        later = find(bad, 0, START, SALT, end_lsn, NAMES, 0, 9)
        # A header that cannot be stepped over ends the walk; never is another record found.
        assert later == records[8] or not isinstance(later, Record)
    payload_damaged = bytearray(data)
    payload_damaged[third - START + 35] ^= 1
    assert find(payload_damaged, 0, START, SALT, end_lsn, NAMES, 0, 3) == (third, BAD)
    assert find(payload_damaged, 0, START, SALT, end_lsn, NAMES, 0, 9) == records[8]


def test_kinds_that_are_not_known_are_told_apart() -> None:
    for kind, flags, verdict in ((100, 0, UNKNOWN_KIND), (IGNORABLE | 100, 0, END), (DATA, 64, 3)):
        data = encode(b"abc", START, 1, 0, kind, flags, NO_CLAIM, SALT)
        assert frame_at(data, 0, START, SALT, START + len(data), NAMES) == verdict
    flagged = encode(b"abc", START, 1, 0, DATA, 64, NO_CLAIM, SALT)
    assert find(flagged, 0, START, SALT, START + 40, NAMES, 0, 1) == (START, UNKNOWN_KIND)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((b"", 0, 0, 0, 0), TypeError),
        ((b"", 1, 0, 0, 0, []), ValueError),
        ((b"", -1, 0, 0, 0, []), ValueError),
        ((b"", 0, 0, 1 << 32, 0, []), ValueError),
        ((b"", 0, 0, 0, 0, ()), TypeError),
        (("", 0, 0, 0, 0, []), TypeError),
    ],
)
def test_wrong_arguments_are_refused(arguments: tuple[object, ...], error: type) -> None:
    with pytest.raises(error):
        frame_at(*arguments)  # type: ignore[arg-type]
    with pytest.raises(error):
        find(*arguments, 0, 0)  # type: ignore[arg-type, call-arg]
    with pytest.raises((TypeError, ValueError)):
        find(b"", 0, 0, 0, 0, [], 1 << 16, 0)
