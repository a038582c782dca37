"""A client scribbles over its own records in the ring: only these suffer; the service goes on."""

from __future__ import annotations

import mmap
import signal

import pytest

from logstore.format import FRAME_HEADER_SIZE, FrameHeader, encode_frame
from logstore.ring import region
from logstore.ring.layout import HEADER_SIZE
from tests.conftest import Serve
from tests.service import SHM, Service, stopped

pytestmark = pytest.mark.crash

RING = 1 << 16
PLACES = {  # offset in the frame, and what is written there
    "payload": (FRAME_HEADER_SIZE, b"\xff" * 40),
    "checksum": (4, b"\1\2\3\4"),
    "sequence number": (16, b"\xff" * 8),
    "group": (24, b"\xff\xff"),
    "kind": (26, b"\x06"),
    "flags": (27, b"\xff"),
    "size too large": (0, b"\xff\xff\xff\x7f"),
    "size 0": (0, b"\0\0\0\0"),
    "in flight again": (0, b"\x29\0\0\x80"),
    "in flight, enormous": (0, b"\xff\xff\xff\xff"),
    "position": (8, b"\xff" * 8),
    "all of it": (0, b"\xaa" * (FRAME_HEADER_SIZE + 40)),
    "all zeros": (0, b"\0" * (FRAME_HEADER_SIZE + 40)),
}


def scribble(service: Service, lsn: int, offset: int, value: bytes) -> None:
    """Write into a frame that is still in the ring."""
    with (SHM / f"logstore.{service.name}").open("r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
    for number, byte in enumerate(value):
        memory[HEADER_SIZE + (lsn + offset + number) % RING] = byte
    memory.close()


def shorter(service: Service, lsn: int, length: int) -> bytes:
    """Return the frame that a record of 40 bytes would be with fewer, its checksum right."""
    ring, identity = region.attach(service.name, read_only=True)
    with memoryview(ring) as view:
        header = FrameHeader.decode(bytes(view[lsn % RING : lsn % RING + FRAME_HEADER_SIZE]))
    ring.close()
    return encode_frame(b"x" * length, lsn=lsn, seq=header.seq, salt=identity.salt)


@pytest.mark.parametrize("killed", [False, True], ids=["live", "before a start"])
@pytest.mark.parametrize("length", [0, 8, 16, 24, 32])
@pytest.mark.parametrize("is_last", [False, True], ids=["followed", "last"])
def test_a_record_that_is_made_shorter_with_a_right_checksum_harms_no_other(
    length: int, is_last: bool, killed: bool, serve: Serve
) -> None:
    service = serve(ring_size=RING, segment_size=1 << 16)
    after = [] if is_last else [b"after %d" % number for number in range(5)]
    with service.attach() as log, service.attach() as other:
        log.append(b"before", durability="synced")
        if killed:
            service.send("supervisor", signal.SIGSTOP)
        with stopped(service.pid("committer"), outside=log):
            lsn = log.append(b"made shorter".ljust(40))
            for payload in after:
                other.append(payload)
            scribble(service, lsn, 0, shorter(service, lsn, length))
            if killed:
                service.kill_all()
        if not killed:
            other.append(b"goes on", durability="synced", timeout=5)
            assert log.status().state == "running"
    if killed:
        service.start()
    found = [record.payload for record in service.read_all() if record.lsn != lsn]
    assert found == [b"before", *after, *([] if killed else [b"goes on"])]


@pytest.mark.parametrize("killed", [False, True], ids=["live", "before a start"])
@pytest.mark.parametrize("what", PLACES)
def test_only_the_record_that_was_scribbled_over_is_lost(
    what: str, killed: bool, serve: Serve
) -> None:
    service = serve(ring_size=RING, segment_size=1 << 16)
    before = [b"before %d" % number for number in range(5)]
    after = [b"after %d" % number for number in range(5)]
    with service.attach() as log, service.attach() as other:
        log.append_many(before, durability="synced")
        if killed:
            service.send("supervisor", signal.SIGSTOP)
        with stopped(service.pid("committer"), outside=log):
            other.append(b"beside")
            lsn = log.append(b"scribbled over".ljust(40))
            for payload in after:
                other.append(payload)
            scribble(service, lsn, *PLACES[what])
            if killed:
                service.kill_all()
        if not killed:
            other.append(b"goes on", durability="synced", timeout=5)
            assert log.status().state == "running"
    expected = [*before, b"beside", *after, *([] if killed else [b"goes on"])]
    for _ in range(2):
        if killed:
            service.start()
        assert [record.payload for record in service.read_all()] == expected
        service.kill_all()
        killed = True
