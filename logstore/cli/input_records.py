"""Taking input apart into records: lines, or lengths and bytes."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

from logstore.cli.exit_codes import BadInput
from logstore.errors import RecordTooLarge
from logstore.format import MAXIMUM_PAYLOAD

_LENGTH: Final = struct.Struct("<I")


@contextmanager
def opened_input(name: str) -> Iterator[BinaryIO]:
    """Open a file, or take standard input for `-`."""
    if name == "-":
        yield sys.stdin.buffer
    else:
        with open(name, "rb") as stream:
            yield stream


def line_records(stream: BinaryIO, shown: str) -> Iterator[bytes]:
    """Yield each line without its newline; the last one needs none.

    Raises:
        RecordTooLarge: No log takes a line of this length.
    """
    number = 0
    # A bound: a file without newlines must not be taken into memory whole.
    while line := stream.readline(MAXIMUM_PAYLOAD + 1):
        number += 1
        payload = line.removesuffix(b"\n")
        if len(payload) > MAXIMUM_PAYLOAD:
            raise RecordTooLarge(f"{shown}:{number}: a line is over {MAXIMUM_PAYLOAD} bytes")
        yield payload


def prefixed_records(stream: BinaryIO, shown: str) -> Iterator[bytes]:
    """Yield each record that follows its length, a little-endian u32.

    Raises:
        BadInput: The input ends within a record; the message says where.
        RecordTooLarge: No log takes a record of this length.
    """
    number, offset = 0, 0
    while prefix := stream.read(_LENGTH.size):
        number += 1
        place = f"{shown}: record {number} at byte {offset}"
        if len(prefix) < _LENGTH.size:
            raise BadInput(f"{place}: the input ends inside the length")
        (length,) = _LENGTH.unpack(prefix)
        if length > MAXIMUM_PAYLOAD:
            raise RecordTooLarge(f"{place}: {length} bytes, at most {MAXIMUM_PAYLOAD}")
        payload = stream.read(length)
        if len(payload) < length:
            raise BadInput(f"{place}: the input ends after {len(payload)} of {length} bytes")
        offset += _LENGTH.size + length
        yield payload


def batches_of(records: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    """Yield records in lists of `size`, and what is left."""
    batch: list[bytes] = []
    for record in records:
        batch.append(record)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
