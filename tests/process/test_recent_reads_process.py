"""The newest records are read where they are in memory still, and from the files otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import logstore
from logstore import LogstoreError
from logstore.files import Directory
from logstore.raw import RECENT
from logstore.segments import manifest
from tests.conftest import Serve
from tests.hostile.test_scribbling_crash import PLACES, RING, scribble
from tests.service import Service

pytestmark = pytest.mark.process

PAYLOADS = [b"%d" % n * 10 for n in range(50)]


@contextmanager
def without_files(service: Service) -> Iterator[None]:
    """Hide the segments from who opens them in the block; those that are open stay so."""
    paths = list(service.path.glob("*.seg"))
    for path in paths:
        path.rename(path.with_suffix(".hidden"))
    try:
        yield
    finally:
        for path in paths:
            path.with_suffix(".hidden").rename(path)


def appended(log: logstore.Log, payloads: list[bytes]) -> list[int]:
    """Append records, and return where they are once they are in files."""
    lsns = [log.append(payload) for payload in payloads]
    log.sync(timeout=10)
    return lsns


def test_the_newest_records_are_read_without_a_file(serve: Serve) -> None:
    service = serve()
    with service.attach() as log:
        lsns = appended(log, PAYLOADS)
        with without_files(service):
            assert [record.payload for record in log.read()] == PAYLOADS
            assert [record.lsn for record in log.read(lsns[20])] == lsns[20:]
            follower = log.follow(lsns[-1], timeout=0.05)
            assert [record.payload for record in follower] == PAYLOADS[-1:]


@pytest.mark.parametrize("place", PLACES)
def test_what_is_damaged_in_memory_is_read_from_its_file(serve: Serve, place: str) -> None:
    service = serve(ring_size=RING)
    offset, value = PLACES[place]
    with service.attach() as log:
        lsns = appended(log, PAYLOADS)
        scribble(service, lsns[30], offset, value)
        assert [record.payload for record in log.read()] == PAYLOADS
        with without_files(service), pytest.raises(LogstoreError):
            list(log.read())


def test_what_was_overwritten_in_memory_is_read_from_its_file(serve: Serve) -> None:
    service = serve(ring_size=RING)
    with service.attach() as log:
        lsns = appended(log, PAYLOADS)
        found = log.read(lsns[0], lsns[-1])
        appended(log, [bytes(1 << 13)] * 9)
        assert [record.lsn for record in found] == lsns[:-1]


def test_what_is_long_is_read_in_pieces(serve: Serve) -> None:
    service = serve()
    payloads = [bytes([n]) * 1000 for n in range(2 * RECENT // 1000)]
    with service.attach() as log:
        appended(log, payloads)
        assert [record.payload for record in log.read()] == payloads


def test_a_new_region_has_nothing_of_the_one_before(serve: Serve) -> None:
    service = serve()
    with service.attach() as log:
        appended(log, PAYLOADS)
    assert service.stop() == 0
    service.start()
    with service.attach() as log:
        assert [record.payload for record in log.read()] == PAYLOADS
        appended(log, [b"more"])
        assert [record.payload for record in log.read()] == [*PAYLOADS, b"more"]


def test_what_is_dropped_from_the_middle_is_gone_from_memory_too(serve: Serve) -> None:
    service = serve(segment_size=1 << 13, ring_size=RING)
    with service.attach() as log:
        kept = log.group("kept").append(b"stays", durability="synced")
        lsns = appended(log, [bytes(3000)] * 6)
        log.group("default").checkpoint(up_to=6)
        log.sync(timeout=10)
        log.compact(timeout=10)
        there = [record.lsn for record in log.read()]
    with Directory.open(service.path, create=False) as directory:
        found = manifest.load(directory)
    assert found is not None
    assert there[0] == kept
    assert len(there) < len(lsns)
    newest = found.sealed[-1].end_lsn
    for lsn in there:
        assert lsn >= newest or any(one.base_lsn <= lsn < one.end_lsn for one in found.sealed)
