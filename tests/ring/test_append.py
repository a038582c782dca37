"""Appending to a ring: what may be appended, where it goes, and when it can be seen."""

from __future__ import annotations

import array
import ctypes
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from logstore import RecordTooLarge
from logstore.format import span
from logstore.lsn import FIRST_LSN
from logstore.ring.client import Client
from logstore.ring.layout import Stop, client_offset
from tests.ring.bench import RING, Bench

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

LARGEST = RING // 4 - 32


def anonymous_map(text: bytes) -> mmap.mmap:
    """Return a memory map that holds a text."""
    mapped = mmap.mmap(-1, len(text))
    mapped.write(text)
    return mapped


BUFFERS: dict[str, ReadableBuffer] = {
    "bytes": b"payload!",
    "bytearray": bytearray(b"payload!"),
    "memoryview": memoryview(b"payload!"),
    "part of a memoryview": memoryview(b"..payload!..")[2:-2],
    "array": array.array("b", b"payload!"),
    "array of wider items": memoryview(b"payload!").cast("I"),
    "ctypes array": ctypes.create_string_buffer(b"payload!", 8),
    "mmap": anonymous_map(b"payload!"),
    "two dimensions": memoryview(b"payload!").cast("B", (2, 4)),
}


@pytest.mark.parametrize("kind", BUFFERS)
def test_any_contiguous_buffer_is_a_payload(kind: str, bench: Bench, client: Client) -> None:
    client.ring.append(BUFFERS[kind])
    client.ring.append_many([BUFFERS[kind], b""])
    assert [bytes(record.payload) for record in bench.drain()] == [b"payload!"] * 2 + [b""]


@pytest.mark.parametrize(
    "refused",
    ["text", 5, None, [1, 2], memoryview(b"abcdef")[::2], memoryview(b"abcdef")[::-1]],
    ids=["str", "int", "None", "list", "every second byte", "backwards"],
)
def test_what_is_no_contiguous_buffer_is_refused_and_nothing_is_appended(
    refused: object, bench: Bench, client: Client
) -> None:
    with pytest.raises((TypeError, BufferError)):
        client.ring.append(refused)  # type: ignore[arg-type]
    with pytest.raises((TypeError, BufferError)):
        client.ring.append_many([b"good", refused])  # type: ignore[list-item]
    assert bench.load("head") == FIRST_LSN
    assert bench.at_rest()


def test_a_refused_str_is_told_to_be_encoded(client: Client) -> None:
    with pytest.raises(TypeError, match=r"encode"):
        client.ring.append("text")  # type: ignore[arg-type]


def test_a_numpy_array_is_a_payload_unless_it_has_gaps(bench: Bench, client: Client) -> None:
    numpy = pytest.importorskip("numpy")
    numbers = numpy.arange(6, dtype="<i8").reshape(2, 3)
    client.ring.append(numbers)
    with pytest.raises((BufferError, ValueError)):
        client.ring.append(numbers[:, ::2])
    (record,) = bench.drain()
    assert bytes(record.payload) == numbers.tobytes()


def test_a_buffer_is_free_again_after_append(client: Client) -> None:
    payload = bytearray(b"grows")
    client.ring.append(payload)
    client.ring.append_many([payload, payload])
    payload.extend(b" later")  # raises if the buffer were still exported


def test_the_lsn_is_the_place_of_the_frame_and_the_next_one_follows_it(
    bench: Bench, client: Client
) -> None:
    sizes = [0, 1, 7, 8, 9, 64, 1000]
    lsns = [client.ring.append(bytes(size)) for size in sizes]
    ends = [lsn + span(size) for lsn, size in zip(lsns, sizes, strict=True)]
    assert [*lsns, bench.load("head")] == [FIRST_LSN, *ends]
    records = bench.drain()
    assert [record.lsn for record in records] == lsns
    assert [record.seq for record in records] == list(range(1, len(sizes) + 1))


def test_the_largest_record_fits_and_one_byte_more_says_what_to_do(
    bench: Bench, client: Client
) -> None:
    assert client.ring.largest_payload == LARGEST
    payload = bytes(range(256)) * 64
    client.ring.append(payload[:LARGEST])
    with pytest.raises(RecordTooLarge, match=rf"{LARGEST}.*split it.*ring_size"):
        client.ring.append(payload[: LARGEST + 1])
    with pytest.raises(RecordTooLarge):
        client.ring.append_many([bytes(LARGEST // 2)] * 2)
    (record,) = bench.drain()
    assert record.payload == payload[:LARGEST]


@pytest.fixture
def benches(places: Iterator[Path]) -> Iterator[Iterator[tuple[int, Bench]]]:
    """Iterate over rings whose first record begins at every eighth byte around the ring's end."""
    made = []

    def make() -> Iterator[tuple[int, Bench]]:
        for before in range(0, 160, 8):
            bench = Bench(next(places), head_lsn=FIRST_LSN + RING - FIRST_LSN - before)
            made.append(bench)
            yield before, bench
            bench.close()

    yield make()
    for bench in made:
        bench.close()


def test_a_record_is_whole_wherever_the_ring_ends_within_it(
    benches: Iterator[tuple[int, Bench]],
) -> None:
    for before, bench in benches:
        client = bench.attach()
        payload = bytes(range(100))
        first = client.ring.append(payload)
        lsns = client.ring.append_many([payload[:1], b"", payload])
        assert first == RING - before
        records = bench.drain()
        assert [record.lsn for record in records] == [first, *lsns]
        assert [record.payload for record in records] == [payload, payload[:1], b"", payload]


def test_many_rounds_through_the_ring_keep_every_record(bench: Bench, client: Client) -> None:
    sizes = [0, 1, 31, 1000, 4099, LARGEST]
    expected, found = [], []
    for number in range(60):
        payload = b"%d" % number * sizes[number % len(sizes)]
        expected.append(payload[: sizes[number % len(sizes)]])
        client.ring.append(expected[-1], 5)
        found += [bytes(record.payload) for record in bench.drain()]
    assert found == expected
    assert bench.load("head") > 3 * RING


def test_a_batch_is_seen_as_a_whole(bench: Bench, client: Client) -> None:
    slot = client.ring.reserve(10)
    client.ring.append_many([b"a", b"b", b"c"])
    assert bench.stop() == Stop.BLOCKED
    assert bench.drain() == []
    slot.publish()
    # A walk that may take fewer bytes than the batch has takes all of it, or none.
    assert len(bench.drain(most=48)) == 1
    assert [record.payload for record in bench.drain(most=48)] == [b"a", b"b", b"c"]


def test_an_empty_batch_appends_nothing(bench: Bench, client: Client) -> None:
    assert client.ring.append_many([]) == []
    assert bench.load("head") == FIRST_LSN


def test_an_append_counts_records_bytes_and_batches(bench: Bench, client: Client) -> None:
    client.ring.append(b"12345")
    client.ring.append_many([b"1", b"22", b"333"])
    counts = {
        name: bench.ring.load(client_offset(client.index, name))
        for name in ("appends", "bytes", "batches", "stalls")
    }
    assert counts == {"appends": 4, "bytes": 11, "batches": 1, "stalls": 0}
