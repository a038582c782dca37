"""Every bad argument is a documented error that says what to do, and nothing is lost by it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from logstore import (
    InvalidArgument,
    InvalidLSN,
    Log,
    NotFound,
    RecordTooLarge,
    Timeout,
)
from tests.service import Service

pytestmark = pytest.mark.process

CALLS: dict[str, tuple[Callable[[Log], object], type[Exception], str]] = {
    "a str": (lambda log: log.append("text"), TypeError, "encode it first"),  # type: ignore[arg-type]
    "a number": (lambda log: log.append(5), TypeError, "contiguous buffer"),  # type: ignore[arg-type]
    "None": (lambda log: log.append(None), TypeError, "contiguous buffer"),  # type: ignore[arg-type]
    "a view with gaps": (
        lambda log: log.append(memoryview(b"abcd")[::2]),
        BufferError,
        "contiguous",
    ),
    "a record too large": (
        lambda log: log.append(bytes(1 << 20)),
        RecordTooLarge,
        "split it, or start the service with a larger ring_size",
    ),
    "a batch too large": (
        lambda log: log.append_many([bytes(1 << 17)] * 4),
        RecordTooLarge,
        "split it",
    ),
    "a reservation too large": (lambda log: log.reserve(1 << 40), RecordTooLarge, "split it"),
    "one payload as a batch": (
        lambda log: log.append_many(b"abc"),  # type: ignore[arg-type]
        InvalidArgument,
        "use append for one",
    ),
    "a batch with a str": (
        lambda log: log.append_many([b"a", "b"]),  # type: ignore[list-item]
        TypeError,
        "encode",
    ),
    "a durability that is none": (
        lambda log: log.append(b"", durability="safe"),  # type: ignore[arg-type]
        InvalidArgument,
        "one of 'ring', 'written', 'synced'",
    ),
    "a durability to read that is none": (
        lambda log: log.read(durability="safe"),  # type: ignore[arg-type]
        InvalidArgument,
        "one of",
    ),
    "a negative time-out": (
        lambda log: log.append(b"", timeout=-1),
        InvalidArgument,
        "timeout must be None or a number of seconds",
    ),
    "a time-out that is no number": (
        lambda log: log.sync(timeout="soon"),  # type: ignore[arg-type]
        InvalidArgument,
        "timeout must be",
    ),
    "a negative size": (lambda log: log.reserve(-1), InvalidArgument, "from 0 on"),
    "a size that is no number": (
        lambda log: log.reserve("10"),  # type: ignore[arg-type]
        InvalidArgument,
        "number of bytes",
    ),
    "a negative LSN": (lambda log: log.load(-8), InvalidLSN, "from 0 to"),
    "an odd LSN": (lambda log: log.load(4097), InvalidLSN, "multiple of 8"),
    "an LSN that is a str": (lambda log: log.wait("4096"), InvalidLSN, "must be an int"),  # type: ignore[arg-type]
    "an LSN that is a bool": (lambda log: log.load(True), InvalidLSN, "must be an int"),
    "an LSN beyond the end": (lambda log: log.load(1 << 40), InvalidLSN, "nothing is appended"),
    "waiting beyond the end": (lambda log: log.wait(1 << 40), InvalidLSN, "nothing is appended"),
    "reading from beyond the end": (
        lambda log: log.read(1 << 40),
        InvalidLSN,
        "nothing is appended",
    ),
    "an LSN before the beginning": (lambda log: log.load(8), NotFound, "oldest"),
    "reading from before the beginning": (lambda log: log.read(8), NotFound, "oldest"),
    "following from before the beginning": (
        lambda log: next(log.follow(8, timeout=1)),
        NotFound,
        "oldest",
    ),
    "a start that is negative": (lambda log: log.read(-8), InvalidLSN, "start"),
    "an end that is odd": (lambda log: log.read(end=4097), InvalidLSN, "end"),
    "loading from the middle of a record": (
        lambda log: log.load(log.append(bytes(100)) + 8),
        InvalidLSN,
        "no frame begins at LSN",
    ),
    "reading from the middle of a record": (
        lambda log: list(log.read(log.append(bytes(100), durability="synced") + 8)),
        InvalidLSN,
        "no frame begins at LSN",
    ),
}


@pytest.mark.parametrize("what", CALLS)
def test_a_bad_argument_is_a_documented_error_and_appends_nothing(
    what: str, shared: Service
) -> None:
    call, kind, match = CALLS[what]
    with shared.attach() as log:
        with pytest.raises(kind, match=match):
            call(log)
        lsn = log.append(b"goes on", durability="synced", timeout=5)
        assert [record.payload for record in log.read(lsn)] == [b"goes on"]


def test_an_empty_payload_is_a_record(shared: Service) -> None:
    with shared.attach() as log:
        lsns = [log.append(b""), *log.append_many([b"", b""])]
        with log.reserve(0) as reservation:
            assert len(reservation.buffer) == 0
        log.sync(timeout=5)
        found = list(log.read(lsns[0]))
        assert [record.lsn for record in found] == [*lsns, reservation.lsn]
        assert {bytes(record.payload) for record in found} == {b""}
        assert log.append_many([]) == []


def test_a_time_out_leaves_the_record_and_says_so(shared: Service) -> None:
    with shared.attach() as log, log.reserve(10):
        with pytest.raises(Timeout, match="stands"):
            log.append(b"behind it", durability="synced", timeout=0.05)
        lsn = log.watermarks().reserved - 48
    with shared.attach() as log:
        log.wait(lsn, timeout=5)
        assert log.load(lsn).payload == b"behind it"
