"""Taking input apart: lines and length-prefixed records, and where bad input is bad."""

from __future__ import annotations

import io
import struct

import pytest

from logstore.cli import input_records
from logstore.cli.exit_codes import BadInput
from logstore.cli.input_records import batches_of, line_records, prefixed_records
from logstore.errors import RecordTooLarge


@pytest.mark.parametrize(
    ("text", "records"),
    [
        (b"", []),
        (b"\n", [b""]),
        (b"one\ntwo\n", [b"one", b"two"]),
        (b"one\n\ntwo", [b"one", b"", b"two"]),
        (b"one\r\n", [b"one\r"]),
        (b"\xff\x00\n", [b"\xff\x00"]),
    ],
)
def test_each_line_is_a_record_without_its_newline(text: bytes, records: list[bytes]) -> None:
    assert list(line_records(io.BytesIO(text), "in")) == records


def test_a_line_longer_than_any_record_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_records, "MAXIMUM_PAYLOAD", 4)
    stream = line_records(io.BytesIO(b"1234\n12345\n"), "in.txt")
    assert next(stream) == b"1234"
    with pytest.raises(RecordTooLarge, match=r"in\.txt:2: "):
        next(stream)


@pytest.mark.parametrize("payloads", [[], [b""], [b"one", b"", b"\n" * 70_000]])
def test_length_prefixed_records_are_read_back(payloads: list[bytes]) -> None:
    data = b"".join(struct.pack("<I", len(payload)) + payload for payload in payloads)
    assert list(prefixed_records(io.BytesIO(data), "in")) == payloads


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (b"\x01\x00", "in: record 2 at byte 7: the input ends inside the length"),
        (b"\x09\x00\x00\x00abc", "in: record 2 at byte 7: the input ends after 3 of 9 bytes"),
    ],
)
def test_input_that_ends_within_a_record_is_told_with_its_place(tail: bytes, message: str) -> None:
    stream = prefixed_records(io.BytesIO(b"\x03\x00\x00\x00abc" + tail), "in")
    assert next(stream) == b"abc"
    with pytest.raises(BadInput) as caught:
        next(stream)
    assert str(caught.value) == message


def test_a_length_that_no_record_has_is_refused_before_anything_is_read() -> None:
    with pytest.raises(RecordTooLarge, match="record 1 at byte 0: 4294967295 bytes"):
        next(prefixed_records(io.BytesIO(b"\xff\xff\xff\xff"), "in"))


def test_batches_keep_order_and_the_last_one_holds_the_rest() -> None:
    assert list(batches_of([b"1", b"2", b"3"], 2)) == [[b"1", b"2"], [b"3"]]
