"""What scan delivers, where it stops, and why."""

from __future__ import annotations

import gc
import struct
import sys
from dataclasses import replace

import pytest

from logstore import frames
from tests.frames.reference import FIRST_LSN, SALT, Frame, encode_all, lay_out

NAMES = ["default", "orders"]
ALL_KINDS = 2**64 - 1
FIVE = lay_out([Frame(b"payload %d" % i, seq=i + 1) for i in range(5)])
FIVE_BYTES = encode_all(FIVE)
FIVE_END = FIRST_LSN + len(FIVE_BYTES)

Scanned = tuple[list[frames.Record], int, int]


def scan(log: list[Frame] | bytes, limit_lsn: int = 2**63, **options: int | None) -> Scanned:
    data = log if isinstance(log, bytes) else encode_all(log)
    return frames.scan(data, FIRST_LSN, SALT, limit_lsn, NAMES, **{"kinds": ALL_KINDS} | options)  # type: ignore[arg-type]


def payloads(scanned: Scanned) -> list[bytes]:
    return [bytes(record.payload) for record in scanned[0]]


def test_records_carry_what_was_written() -> None:
    records, next_lsn, verdict = scan(lay_out([Frame(b"a", seq=7), Frame(b"", group=1, kind=2)]))
    assert records == [
        frames.Record(4096, "default", 7, 1, b"a"),
        frames.Record(4136, "orders", 1, 2, b""),
    ]
    assert (next_lsn, verdict) == (4168, frames.SHORT)


def test_an_empty_range_ends_at_once() -> None:
    assert scan(b"", limit_lsn=FIRST_LSN) == ([], FIRST_LSN, frames.END)
    assert scan(FIVE, limit_lsn=0) == ([], FIRST_LSN, frames.END)


def test_the_limit_ends_the_scan_before_the_bytes_do() -> None:
    limit_lsn = FIVE[3].lsn
    scanned = scan(FIVE_BYTES + b"rubbish" * 10, limit_lsn=limit_lsn)
    assert payloads(scanned) == [frame.payload for frame in FIVE[:3]]
    assert scanned[1:] == (limit_lsn, frames.END)


def test_a_frame_across_the_limit_is_bad() -> None:
    for limit_lsn in range(FIVE[3].lsn + 1, FIVE[4].lsn):
        assert scan(FIVE, limit_lsn=limit_lsn)[1:] == (FIVE[3].lsn, frames.BAD)


def test_the_end_of_the_bytes_below_the_limit_is_short() -> None:
    for kept in range(FIVE[3].lsn - FIRST_LSN, FIVE[4].lsn - FIRST_LSN):
        assert scan(FIVE_BYTES[:kept])[1:] == (FIVE[3].lsn, frames.SHORT)


def test_damage_stops_the_scan_behind_the_last_good_frame() -> None:
    data = bytearray(FIVE_BYTES)
    data[FIVE[2].lsn - FIRST_LSN + 33] ^= 1
    scanned = scan(bytes(data))
    assert payloads(scanned) == [frame.payload for frame in FIVE[:2]]
    assert scanned[1:] == (FIVE[2].lsn, frames.BAD)


@pytest.mark.parametrize("count", range(5))
def test_max_records_ends_the_scan_behind_the_last_one_delivered(count: int) -> None:
    scanned = scan(FIVE, max_records=count)
    assert payloads(scanned) == [frame.payload for frame in FIVE[:count]]
    assert scanned[1:] == (FIVE[count].lsn, frames.END)


def test_max_records_counts_only_what_is_delivered() -> None:
    log = lay_out([Frame(b"a"), Frame(b"b", kind=8), Frame(b"c"), Frame(b"d")])
    scanned = scan(log, kinds=1 << frames.DATA, max_records=2)
    assert payloads(scanned) == [b"a", b"c"]
    assert scanned[1:] == (log[3].lsn, frames.END)


@pytest.mark.parametrize("kind", range(1, 10))
def test_the_mask_picks_kinds(kind: int) -> None:
    log = lay_out([Frame(bytes([kind]), kind=kind) for kind in range(1, 10)])
    end_lsn = log[-1].lsn + log[-1].span
    only, without = scan(log, kinds=1 << kind), scan(log, kinds=ALL_KINDS ^ 1 << kind)
    assert payloads(only) == [bytes([kind])]
    assert [record.kind for record in without[0]] == [k for k in range(1, 10) if k != kind]
    assert only[1:] == without[1:] == (end_lsn, frames.SHORT)


def test_an_unwanted_frame_is_checked_all_the_same() -> None:
    data = bytearray(Frame(b"mark", kind=frames.MARK).encode())
    data[32] ^= 1
    assert scan(bytes(data), kinds=1 << frames.DATA) == ([], FIRST_LSN, frames.BAD)


@pytest.mark.parametrize("kind", [0, 10, 63, 64, 0x7F])
def test_an_unknown_kind_stops_the_scan(kind: int) -> None:
    log = lay_out([Frame(b"a"), Frame(b"b", kind=kind), Frame(b"c")])
    for mask in (ALL_KINDS, 1 << frames.DATA, 0):
        assert scan(log, kinds=mask)[1:] == (log[1].lsn, frames.UNKNOWN_KIND)


@pytest.mark.parametrize("kind", [0x80, 0x81, 0x8A, 0xFF])
def test_an_unknown_kind_that_is_safe_to_ignore_is_passed_over(kind: int) -> None:
    log = lay_out([Frame(b"a"), Frame(b"b", kind=kind, flags=2), Frame(b"c")])
    assert payloads(scan(log)) == [b"a", b"c"]


@pytest.mark.parametrize("flag", [frames.COMPRESSED, 4, 8, 16, 32, 64, 128])
def test_a_flag_that_changes_the_payload_stops_the_scan(flag: int) -> None:
    log = lay_out([Frame(b"a"), Frame(b"b", flags=flag | frames.MORE_OF_BATCH), Frame(b"c")])
    for mask in (ALL_KINDS, 0):
        assert scan(log, kinds=mask)[1:] == (log[1].lsn, frames.UNKNOWN_KIND)


def test_damage_is_told_from_an_unknown_kind() -> None:
    data = bytearray(Frame(b"a", kind=99).encode())
    data[32] ^= 1
    assert scan(bytes(data))[2] == frames.BAD


def test_the_frames_of_a_batch_come_out_one_by_one() -> None:
    log = lay_out([Frame(b"a", flags=1), Frame(b"b", flags=1), Frame(b"c"), Frame(b"d")])
    assert payloads(scan(log)) == [b"a", b"b", b"c", b"d"]


def test_a_group_without_a_name_is_called_by_its_id() -> None:
    groups = [0, 1, 2, 65535, 1, 1]
    log = lay_out([Frame(b"", group=group) for group in groups])
    names = [record.group for record in scan(log)[0]]
    assert names == ["default", "orders", "#2", "#65535", "orders", "orders"]


def test_a_name_that_is_no_text_is_a_type_error() -> None:
    data = encode_all(lay_out([Frame(b""), Frame(b"", group=1)]))
    with pytest.raises(TypeError, match=r"names\[1\] must be a str"):
        frames.scan(data, FIRST_LSN, SALT, 2**63, ["default", b"orders"], kinds=2)  # type: ignore[list-item]


def test_a_payload_is_copied_unless_told_otherwise() -> None:
    data = bytearray(FIVE_BYTES)
    copied = frames.scan(data, FIRST_LSN, SALT, FIVE_END, NAMES, kinds=2)[0]
    data[:] = bytes(len(data))
    data.clear()
    assert [record.payload for record in copied] == [frame.payload for frame in FIVE]
    assert {type(record.payload) for record in copied} == {bytes}


def test_without_copying_a_payload_is_a_read_only_view_of_the_buffer() -> None:
    data = bytearray(FIVE_BYTES)
    records = frames.scan(data, FIRST_LSN, SALT, FIVE_END, NAMES, kinds=2, copy=False)[0]
    assert [bytes(record.payload) for record in records] == [frame.payload for frame in FIVE]
    view = records[1].payload
    assert isinstance(view, memoryview)
    assert (view.readonly, view.format, view.nbytes) == (True, "B", len(FIVE[1].payload))
    data[FIVE[1].lsn - FIRST_LSN + 32] = ord("X")
    assert bytes(view) == b"Xayload 1"
    with pytest.raises(BufferError):
        data.clear()


def test_a_buffer_of_any_format_is_read_as_bytes() -> None:
    data = memoryview(FIVE_BYTES).cast("Q", [5, len(FIVE_BYTES) // 40])
    for copy in (True, False):
        records = frames.scan(data, FIRST_LSN, SALT, FIVE_END, NAMES, kinds=2, copy=copy)[0]
        assert [bytes(record.payload) for record in records] == [frame.payload for frame in FIVE]


@pytest.mark.parametrize("copy", [True, False])
def test_an_empty_buffer_is_short(copy: bool) -> None:
    for empty in (b"", bytearray(), memoryview(b"")):
        scanned = frames.scan(empty, FIRST_LSN, SALT, 2**63, NAMES, kinds=2, copy=copy)
        assert scanned == ([], FIRST_LSN, frames.SHORT)


@pytest.mark.parametrize("size", [0, 1, 2, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1])
@pytest.mark.parametrize("lsn", [0, FIRST_LSN, 2**64 - 32, 2**64 - 8, 2**64 - 1])
def test_a_hostile_size_reads_nothing_beyond_the_buffer(size: int, lsn: int) -> None:
    header = struct.pack("<IIQQQ", size, 0, lsn, 0, 0)
    for kept in range(33):
        records, next_lsn, verdict = frames.scan(
            header[:kept], lsn, SALT, 2**64 - 1, NAMES, kinds=ALL_KINDS
        )
        assert (records, next_lsn) == ([], lsn)
        assert verdict in (frames.SHORT, frames.BAD, frames.END)


def test_an_argument_of_the_wrong_type_or_range_is_refused() -> None:
    with pytest.raises(TypeError, match="missing required keyword-only argument 'kinds'"):
        frames.scan(b"", 0, 0, 0, NAMES)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        frames.scan(b"", 0, 0, 0, tuple(NAMES), kinds=0)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        frames.scan("text", 0, 0, 0, NAMES, kinds=0)  # type: ignore[arg-type]
    for name in ("lsn", "salt", "limit_lsn", "kinds", "max_records"):
        given = {"lsn": 0, "salt": 0, "limit_lsn": 0, "kinds": 0, "max_records": 0} | {name: -1}
        with pytest.raises(ValueError, match=f"{name} must be from 0"):
            frames.scan(b"", names=NAMES, **given)  # type: ignore[arg-type]


def test_scanning_over_and_over_keeps_nothing() -> None:
    log = encode_all(lay_out([replace(frame, group=i) for i, frame in enumerate(FIVE)]))
    damaged = log[:-1]
    names = ["a name of its own", "another name"]
    data = bytearray(log)

    def rounds() -> tuple[list[int], int]:
        for _ in range(100):
            for copy in (True, False):
                frames.scan(data, FIRST_LSN, SALT, FIVE_END, names, kinds=2, copy=copy)
                frames.scan(damaged, FIRST_LSN, SALT, FIVE_END, names, kinds=2, copy=copy)
        # Earlier tests may have left records in cycles; a collection between two counts would tell.
        gc.collect()
        counts = [sys.getrefcount(item) for item in (*names, names, data, frames.Record)]
        return counts, sys.getallocatedblocks()

    rounds()
    counts_before, blocks_before = rounds()
    counts, blocks = rounds()
    assert counts == counts_before
    # 400 scans; pytest's own threads allocate meanwhile.
    assert blocks - blocks_before < 200
