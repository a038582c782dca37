"""One target for each parser: bytes of any kind come in, and what is wrong is an AssertionError.

The first bytes of an input choose how the rest is used: bit 0 of the first one makes checksums and
lengths right, so that the parser reads on behind them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tests.frames.reference import FIRST_LSN
from tests.hostile import directories, seeds, stored
from tests.hostile.ranges_of_bytes import RING, check_places, check_scan, check_survey, check_walk
from tests.hostile.sealing import (
    sealed_footer,
    sealed_frames,
    sealed_header,
    sealed_snapshot,
    sealed_text,
)
from tests.hostile.settings import check_settings

SEALED: Final = 1


@dataclass(frozen=True)
class Target:
    """Something that reads bytes, and bytes to begin with."""

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


def _whole(
    name: str,
    check: Callable[[bytes], None],
    seal: Callable[[bytes], bytes],
    examples: Callable[[], list[bytes]],
) -> Target:
    """Make a target of something that is read as a whole, and has a checksum."""

    def run(data: bytes) -> None:
        body = data[1:]
        check(seal(body) if data[:1] and data[0] & SEALED else body)

    def begin() -> list[bytes]:
        return [bytes((sealed,)) + example for example in examples() for sealed in (0, SEALED)]

    return Target(name, run, begin)


def _numbers(data: bytes, layout: str) -> tuple[tuple[int, ...], bytes]:
    """Take the numbers that choose how a target works from the start of an input."""
    size = struct.calcsize(layout)
    return struct.unpack(layout, data[:size].ljust(size, b"\0")), data[size:]


def _frames_of(control: int, data: bytes) -> bytes:
    """Seal frames if bit 0 says so: all of them, or only as many as the upper bits say."""
    if not control & SEALED:
        return data
    return sealed_frames(data, most=control >> 4 or 1000)


def _run_scan(data: bytes) -> None:
    (control, short, kinds, most), body = _numbers(data, "<BhHB")
    room = max(0, len(body) + 64 - short % 4096) if short else len(body)
    most = most if control & 4 else 2**64 - 1
    check_scan(_frames_of(control, body), room, kinds, most, bool(control & 2))


def _run_places(data: bytes) -> None:
    (control, offset, short, group, seq), body = _numbers(data, "<BHHBB")
    data = _frames_of(control, body)
    check_places(data, offset & -8 if control & 2 else offset, len(data) + short, group, seq)


def _run_survey(data: bytes) -> None:
    (control, short, stride, *ends), body = _numbers(data, "<BHB4H")
    check_survey(_frames_of(control, body), len(body) + short, stride % 8 + 1, ends)


def _run_ring(data: bytes) -> None:
    (control, at, reserved, most), body = _numbers(data, "<BHHH")
    start = FIRST_LSN + RING * (control >> 5) + (at & -8 if control & 2 else at)
    if control & 4:
        start = 2**64 - at - 1
    if control & SEALED:
        body = sealed_frames(body[:RING], lsn=start)
    data = body[:RING].ljust(RING, b"\0")
    cut = -start % RING  # so that what comes first lies at `start`
    check_walk(data[cut:] + data[:cut], start, reserved, most, bool(control & 8))


def _run_payload(data: bytes) -> None:
    (which, places), body = _numbers(data, "<BH")
    stored.check_payload(which % 7, FIRST_LSN + 8 * places, body)


def _run_section(data: bytes) -> None:
    (which,), body = _numbers(data, "<B")
    stored.check_section(which % 3 + 3, body)


def _with(
    layout: str, *numbers: int
) -> Callable[[Callable[[], list[bytes]]], Callable[[], list[bytes]]]:
    """Put the numbers of a target before examples."""

    def wrapped(examples: Callable[[], list[bytes]]) -> Callable[[], list[bytes]]:
        head = struct.pack(layout, *numbers)
        sealed = struct.pack(layout, numbers[0] | SEALED, *numbers[1:])
        return lambda: [start + one for one in examples() for start in (head, sealed)]

    return wrapped


def _all() -> Iterator[Target]:
    yield Target("scan", _run_scan, _with("<BhHB", 2, 0, 0xFFFF, 5)(seeds.frames))
    yield Target("find", _run_places, _with("<BHHBB", 2, 40, 0, 0, 2)(seeds.frames))
    yield Target("survey", _run_survey, _with("<BHB4H", 0, 0, 1, 8, 100, 160, 300)(seeds.frames))
    yield Target("ring", _run_ring, _with("<BHHH", 0x2A, 160, 1000, 4096)(seeds.frames))
    yield Target(
        "payload", _run_payload, lambda: [bytes((k, 99, 0)) + d for k, d in seeds.payloads()]
    )
    yield Target(
        "section", _run_section, lambda: [bytes((k - 3,)) + d for k, d in seeds.sections()]
    )
    yield _whole("header", stored.check_header, sealed_header, seeds.headers)
    yield _whole("footer", stored.check_footer, sealed_footer, seeds.footers)
    yield _whole("snapshot", stored.check_snapshot, sealed_snapshot, seeds.snapshots)
    yield _whole("manifest", stored.check_manifest, sealed_text, seeds.manifests)
    yield _whole("repairs", stored.check_repairs, sealed_text, seeds.repairs)
    yield _whole("cursor", stored.check_cursor, sealed_text, seeds.cursors)
    yield Target("settings", check_settings, seeds.settings)
    yield Target("directory", directories.check_directory, directories.examples)


TARGETS: Final[dict[str, Target]] = {target.name: target for target in _all()}
