"""Record as a value: equal by its fields, unchangeable, and fit for pickle, sets and match."""

from __future__ import annotations

import copy
import gc
import pickle

import pytest

from logstore.frames import Record

RECORD = Record(4096, "orders", 7, 1, b"payload")
OTHERS = [
    Record(4104, "orders", 7, 1, b"payload"),
    Record(4096, "order", 7, 1, b"payload"),
    Record(4096, "orders", 8, 1, b"payload"),
    Record(4096, "orders", 7, 2, b"payload"),
    Record(4096, "orders", 7, 1, b"Payload"),
]


def test_a_record_shows_what_it_was_made_of() -> None:
    assert (RECORD.lsn, RECORD.group, RECORD.seq, RECORD.kind) == (4096, "orders", 7, 1)
    assert RECORD.payload == b"payload"
    named = Record(payload=b"payload", kind=1, seq=7, group="orders", lsn=4096)
    assert named == RECORD


def test_the_whole_range_of_each_number_is_kept() -> None:
    greatest = Record(2**64 - 1, "", 2**64 - 1, 255, b"")
    assert (greatest.lsn, greatest.seq, greatest.kind) == (2**64 - 1, 2**64 - 1, 255)


@pytest.mark.parametrize("other", OTHERS)
def test_records_differ_if_any_field_does(other: Record) -> None:
    assert other != RECORD
    assert not other == RECORD  # noqa: SIM201


def test_records_with_the_same_fields_are_equal_and_hash_alike() -> None:
    twin = Record(4096, "".join(["ord", "ers"]), 7, 1, bytes(bytearray(b"payload")))
    assert twin == RECORD
    assert not twin != RECORD  # noqa: SIM202
    assert hash(RECORD) == hash(twin)
    assert len({RECORD, twin, *OTHERS}) == 6


def test_a_view_equals_bytes_and_hashes_alike_even_if_writable() -> None:
    view = Record(4096, "orders", 7, 1, memoryview(bytearray(b"payload")))
    assert view == RECORD
    assert hash(view) == hash(RECORD)


def test_a_record_equals_nothing_else_and_has_no_order() -> None:
    assert RECORD != (4096, "orders", 7, 1, b"payload")
    assert RECORD.__eq__(object()) is NotImplemented
    with pytest.raises(TypeError):
        OTHERS[0] > RECORD  # type: ignore[operator]  # noqa: B015


def test_a_repr_of_a_short_payload_can_be_evaluated() -> None:
    assert repr(RECORD) == "Record(lsn=4096, group='orders', seq=7, kind=1, payload=b'payload')"
    assert eval(repr(RECORD)) == RECORD


def test_a_repr_of_a_long_payload_is_shortened() -> None:
    for payload in (b"x" * 32, memoryview(b"x" * 32)):
        assert repr(Record(8, "g", 1, 1, payload)).endswith(f"payload=b'{'x' * 32}')")
    for payload in (b"x" * 33, memoryview(b"x" * 33)):
        text = repr(Record(8, "g", 1, 1, payload))
        assert text.endswith(f"payload=<33 bytes: b'{'x' * 32}'...>)")
    assert len(repr(Record(8, "g", 1, 1, bytes(1 << 20)))) < 250


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_record_survives_pickle_and_a_view_becomes_bytes(protocol: int) -> None:
    view = Record(4096, "orders", 7, 1, memoryview(bytearray(b"payload")))
    for record in (RECORD, view):
        back = pickle.loads(pickle.dumps(record, protocol))
        assert back == RECORD
        assert type(back.payload) is bytes


def test_a_record_can_be_copied() -> None:
    assert copy.copy(RECORD) == copy.deepcopy(RECORD) == RECORD


def test_a_record_can_be_matched_by_position() -> None:
    match RECORD:
        case Record(lsn, group, seq, kind, payload):
            assert (lsn, group, seq, kind, payload) == (4096, "orders", 7, 1, b"payload")
        case _:
            pytest.fail("no match")


@pytest.mark.parametrize("name", ["lsn", "group", "seq", "kind", "payload", "anything"])
def test_no_attribute_can_be_set_or_deleted(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(RECORD, name, 1)
    with pytest.raises(AttributeError):
        delattr(RECORD, name)


def test_a_record_has_no_dict_no_subclass_and_no_collector_to_feed() -> None:
    assert not hasattr(RECORD, "__dict__")
    assert not gc.is_tracked(RECORD)
    with pytest.raises(TypeError, match="not an acceptable base type"):
        type("Sub", (Record,), {})


@pytest.mark.parametrize("payload", ["text", bytearray(b"x"), None, 1])
def test_a_payload_is_bytes_or_a_view(payload: object) -> None:
    with pytest.raises(TypeError, match="payload must be bytes or a memoryview"):
        Record(8, "g", 1, 1, payload)  # type: ignore[arg-type]


def test_a_payload_view_is_flat_and_of_bytes() -> None:
    for view in (memoryview(bytes(8)).cast("Q"), memoryview(bytes(8)).cast("B", [2, 4])):
        with pytest.raises(TypeError, match="flat memoryview of single bytes"):
            Record(8, "g", 1, 1, view)
        view.release()  # a BufferError if the refused record still held it


@pytest.mark.parametrize(("name", "value"), [("lsn", -1), ("seq", 2**64), ("kind", 256)])
def test_a_number_beyond_its_field_is_a_value_error(name: str, value: int) -> None:
    fields = {"lsn": 8, "seq": 1, "kind": 1} | {name: value}
    with pytest.raises(ValueError, match=f"{name} must be from 0 to"):
        Record(group="g", payload=b"", **fields)


def test_a_group_is_text() -> None:
    with pytest.raises(TypeError):
        Record(8, b"g", 1, 1, b"")  # type: ignore[arg-type]
