"""Walk the paths from Python once, for counting: `python -m tools.python_paths RECORDS`.

Each is a C function that Python calls: appends one by one and in batches of 64, a scan to Records,
an iterator that gives them out, single frames by place and by seq in some bytes, and in a file.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from array import array
from itertools import repeat
from pathlib import Path
from typing import Final

from logstore.format import span
from logstore.frames import OpenFiles, Record, find, frame_at, scan
from logstore.lsn import FIRST_LSN
from logstore.ring._ring import LAYOUT
from logstore.ring.layout import Level
from tests.ring.bench import RECORDS, SALT, Bench

_SIZE: Final = 64
_BATCH: Final = 64
_NAMES: Final = ["default"]


def let_go(bench: Bench) -> None:
    """Give all of the ring's room back, without looking at what is in it."""
    head = bench.load("head")
    for level in Level:
        bench.ring.advance(level, head)


def walk(bench: Bench, records: int, place: Path) -> None:
    """Append, drain, scan, deliver, find and load so many records."""
    ring, payload, data = bench.attach().ring, bytes(_SIZE), bytearray()
    capacity, step = ring.capacity, 10 * _BATCH
    for _ in repeat(None, records // step):
        for _ in repeat(None, step):
            ring.append(payload, None, 0)
        start = bench.load("written") % capacity
        with memoryview(ring) as view:
            data += view[start : start + step * span(_SIZE)]
        let_go(bench)
        for _ in repeat(None, 10):
            ring.append_many([payload] * _BATCH, None, 0)
        let_go(bench)
    # What was appended one by one, as if it lay in a row.
    lsn, count = FIRST_LSN, 0
    for at in range(0, len(data), step * span(_SIZE)):
        piece = bytes(data[at : at + step * span(_SIZE)])
        end_lsn = lsn + len(piece)
        found, _, _ = scan(piece, lsn, SALT, end_lsn, _NAMES, kinds=RECORDS)
        given = list(ring.deliver(found, LAYOUT["newest_revert_lsn"], 0, lambda _: iter(())))
        for record in given:
            assert frame_at(piece, record.lsn - lsn, record.lsn, SALT, end_lsn, _NAMES) == record
        for record in given[32::64]:
            begin = (record.lsn - lsn) - 32 * span(_SIZE)
            for _ in repeat(None, 64):
                assert (
                    find(piece, begin, lsn + begin, SALT, end_lsn, _NAMES, 0, record.seq) == record
                )
        count += len(given)
        load(piece, given, place)
        lsn = end_lsn + step * span(_SIZE)  # batches lay between
    assert count == records


def load(piece: bytes, records: list[Record], place: Path) -> None:
    """Load each record by LSN, and as many by seq, 32 behind the last point before them."""
    first, end_lsn = records[0], records[-1].lsn + span(_SIZE)
    points = records[::64]
    seqs, lsns = (array("Q", [getattr(one, word) for one in points]) for word in ("seq", "lsn"))
    (place / "frames").write_bytes(piece)
    with (place / "frames").open("rb") as file:
        files = OpenFiles()
        files.put(0, file.fileno(), first.lsn, first.lsn, SALT)
        files.know(0, 0, first.seq, records[-1].seq, end_lsn, seqs, lsns)
        for record in records:
            assert files.load(record.lsn, end_lsn, _NAMES) == record
        for record in records[32::64]:
            for _ in repeat(None, 64):
                assert files.load_seq(0, record.seq, _NAMES) == record


def main(words: list[str]) -> int:
    """Make a region, walk, and take it away."""
    place = Path(tempfile.mkdtemp(prefix="logstore-python-paths-"))
    bench = Bench(place)
    try:
        walk(bench, int(words[0]), place)
    finally:
        bench.close()
        shutil.rmtree(place)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
