"""Bytes to begin with: the golden files, and small examples of everything that is stored."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from logstore import payloads as said
from logstore.format import encode_mark
from logstore.payloads import EVERY_GROUP, CheckpointCommands, CheckpointRanges, Commit, Interval
from logstore.segments.catalog import Catalog
from logstore.segments.catalog_sections import sections_of
from logstore.segments.cursors import SavedCursor
from logstore.segments.footer import Footer, GroupRange, Section, TimePoint
from logstore.segments.points import Points
from logstore.segments.ranges import RangeSet
from logstore.segments.repairs import Hole, Lost, Repairs, Resumed
from tests.frames.reference import Frame, encode_all, lay_out

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "v1"


@cache
def golden() -> dict[str, bytes]:
    """Return the golden files."""
    return {path.name: path.read_bytes() for path in sorted(GOLDEN.iterdir())}


def segments() -> list[bytes]:
    """Return whole segments."""
    return [data for name, data in golden().items() if name.endswith(".seg")]


def payloads() -> list[tuple[int, bytes]]:
    """Return payloads, each with its number in the list of decoders."""
    commands = CheckpointCommands(7, 10, ((0, 2), (5, 9)), ((7, 7), (9, 12)))
    intervals = (Interval(EVERY_GROUP, 4096, 4104), Interval(3, 4096, 0))
    return [
        (0, said.encode_part(4096, b"part")),
        (1, said.encode_commit(Commit(4096, 4136, 2))),
        (2, said.encode_txn_abort(4096)),
        (3, said.encode_checkpoint(CheckpointRanges(((1, 3), (5, 5))))),
        (3, said.encode_checkpoint(commands)),
        (4, said.encode_revert(intervals[1:])),
        (4, said.encode_revert(intervals)),
        (5, encode_mark(1_700_000_000_000_000_000, 4304)),
        (6, "Bücher".encode()),
    ]


def _logs() -> Iterator[list[Frame]]:
    kinds = (2, 3, 4, 5, 5, 6, 6, 8, 7)
    yield [Frame(p, kind=k, seq=0) for (_, p), k in zip(payloads(), kinds, strict=True)]
    yield [Frame(b"x" * n, seq=n + 1, group=n % 3, distance=n) for n in (0, 1, 7, 8, 9, 40)]
    yield [Frame(b"batch", seq=1, flags=1), Frame(b"", seq=2, flags=1), Frame(b"end", seq=3)]
    yield [Frame(b"", kind=9, seq=4), Frame(b"new", kind=0x81), Frame(b"?", kind=77), Frame(b"")]
    part = struct.pack("<Q", 4096)
    commit = said.encode_commit(Commit(4096, 4136, 2))
    yield [
        *(Frame(part + b"one", kind=2, seq=1), Frame(part, kind=2, seq=2, group=9)),
        *(Frame(commit, kind=3, seq=0), Frame(said.encode_txn_abort(4096), kind=4, seq=0)),
    ]


def frames() -> list[bytes]:
    """Return byte ranges of frames."""
    return [encode_all(lay_out(log)) for log in _logs()] + [data[4096:] for data in segments()]


def _catalog() -> Catalog:
    catalog = Catalog(epoch=3)
    catalog.begin(4096)
    catalog.apply_parts(4096, 1, (3, 4), 4136)
    catalog.apply_parts(4096, 2, (9, 9), 4200)
    catalog.segment_base_lsn = 8192
    catalog.begin(5000)
    catalog.apply_parts(5000, 0, (1, 1), 5000)
    catalog.apply(9000, 3, 0, 0, said.encode_commit(Commit(5000, 5000, 1)))
    for number, payload in payloads():
        if number == 3:
            catalog.apply(9008, 5, 1, 0, payload)
    catalog.hidden = (Interval(EVERY_GROUP, 4096, 4104), Interval(1, 8192, 9000))
    catalog.newest_revert_lsn = 9000
    return catalog


def sections() -> list[tuple[int, bytes]]:
    """Return sections 3 to 5 of a footer, each with its type."""
    return [(one.type, one.data) for one in sections_of(_catalog(), ())]


def footers() -> list[bytes]:
    """Return footers."""
    groups = (
        GroupRange(0, "default", 1, 70, 70, Points([(1, 4096), (65, 6656)])),
        GroupRange(7, "Bücher", 0, 5, 0),
    )
    others = (*sections_of(_catalog(), groups), Section(99, 1, b"later"))
    rich = Footer(4096, 8192, 70, 0xABCD, groups, (TimePoint(17, 4096),), others).encode()
    cut = [data[data.rindex(b"LSFOOTER") :] for data in segments()]
    return [*cut, rich, Footer(4096, 4096, 0, 0).encode()]


def headers() -> list[bytes]:
    """Return headers of segments."""
    return [data[:4096] for data in segments()]


def manifests() -> list[bytes]:
    """Return manifests."""
    return [golden()["MANIFEST"], golden()["MANIFEST"].replace(b"clean yes", b"clean no")]


def cursors() -> list[bytes]:
    """Return files of cursors."""
    return [
        SavedCursor("billing", "orders", 8192, 1_700_000_000_000_000_000).encode(),
        SavedCursor("b", None, 4096, 0).encode(),
    ]


def repairs() -> list[bytes]:
    """Return REPAIRS."""
    rich = Repairs(
        (Hole(8192, 12288), Hole(16384, 20480)),
        (Lost(5, 0, 1300, 1310), Lost(5, 3, 1, 1)),
        (Resumed(5, 40960),),
        Resumed(8, 81920),
    )
    return [rich.encode(), Repairs().encode(), rich.finished().encode()]


def snapshots() -> list[bytes]:
    """Return snapshots."""
    applied = RangeSet([(1, 5), (9, 9)]).encode()
    head = struct.pack("<8sQQ", b"LOGSTSNP", 8192, len(applied))
    return [head + applied + b"state\0\0\0\0", head + applied + bytes(4)]


def settings() -> list[bytes]:
    """Return settings."""
    return [
        b'ring_size = "64 MiB"\nsegment_size = 65536\nsync_interval_s = "10ms"\nmode = "0660"\n',
        b'linger_s = 5.5\nretain_bytes = "1GiB"\nretain_age_s = "7d"\nrecovery = "tail"\n',
        b"mode = 0o600\nretain_age_s = 10\nlinger_s = 0\nretain_bytes = 0x10\n",
        b"ring_size = [1, {a = 2}]\n",
        b'retain_bytes = "123456789012345678901234567890"\n',
    ]
