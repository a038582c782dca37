"""Write the golden data directory of format version 1: `python -m tests.golden.make DIRECTORY`.

The bytes that this made once are committed under `v1/` and never change. The test compares what
the code makes today with them. A new format gets a new folder and a script of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

from logstore.files import Directory
from logstore.format import Flag, Kind, SegmentHeader, encode_mark
from logstore.frames import encode
from logstore.segments import manifest as manifests
from logstore.segments.footer import Footer
from logstore.segments.manifest import Manifest, SealedSegment
from logstore.segments.seal import seal
from logstore.segments.segment import begin, prepare, segment_name

UUID = bytes.fromhex("6c6f6773746f72652d676f6c64656e31")
TIME_NS = 1_700_000_000_000_000_000
SEGMENT_SIZE = 8192

# kind, group, seq, flags, how far below the frame everything was durable, payload
FIRST = (
    (Kind.DATA, 0, 1, 0, 0, b"hello"),
    (Kind.GROUP_NAME, 1, 0, 0, 5, "Bücher".encode()),
    (Kind.DATA, 1, 1, 0, 10, b""),
    (Kind.DATA, 0, 2, Flag.MORE_OF_BATCH, 14, b"first of a batch"),
    (Kind.DATA, 0, 3, 0, 20, b"last of a batch"),
    (Kind.MARK, 0, 0, 0, 0, encode_mark(TIME_NS, 4304)),
)
SECOND = (
    (Kind.ABORT, 1, 2, 0, 6, bytes(24)),
    (Kind.DATA, 1, 3, 0, 0xFFFFFFFF, bytes(range(256))),
    (Kind.MARK, 0, 0, 0, 43, encode_mark(TIME_NS + 100_000_000, 4352)),
)
SEGMENTS = ((1, 0x10F5A17, FIRST), (2, 0x20F5A17, SECOND))


def make(directory: Directory) -> None:
    """Write the data directory into an empty folder."""
    lsn = 4096
    header: SegmentHeader | None = None
    footer: Footer | None = None
    sealed: list[SealedSegment] = []
    for epoch, salt, contents in SEGMENTS:
        header = SegmentHeader(
            uuid=UUID,
            epoch=epoch,
            salt=salt,
            base_lsn=lsn,
            previous_end_lsn=lsn if header else 0,
            previous_digest=header.crc if header else 0,
            created_ns=TIME_NS + epoch,
        )
        fd = prepare(directory, SEGMENT_SIZE, mode=0o644)
        begin(directory, fd, header)
        for kind, group, seq, flags, distance, payload in contents:
            frame = encode(payload, lsn, seq, group, kind, flags, distance, salt)
            directory.write(fd, frame, header.offset_of(lsn))
            lsn += len(frame)
        directory.close_file(fd)
        footer = seal(directory, segment_name(header.base_lsn), lsn, footer)
        sealed.append(SealedSegment(header.base_lsn, lsn, footer.frames_digest, header.crc))
    manifest = Manifest(
        uuid=UUID,
        name="golden",
        epoch=2,
        clean=True,
        start_lsn=4096,
        sealed=tuple(sealed),
    )
    manifests.save(directory, manifest, mode=0o644)


if __name__ == "__main__":
    with Directory.open(Path(sys.argv[1]), create=True, mode=0o755) as opened:
        make(opened)
