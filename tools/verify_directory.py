"""Verify a data directory without logstore: `python -m tools.verify_directory DIR [--json]`.

Written from the description of the formats alone, with struct and the crc32c package; nothing of
logstore is imported, so that a mistake made there is not made here again. Read-only. The directory
should be at rest: stopped, crashed or copied. While a service writes it, a file may change between
two looks.

Checked: the manifest and its checksum; headers and their chain; every frame's checksum, position,
padding and kind; batches whole; each group's seq without gaps, but for aborted reservations; what
frames claim to be durable; footers, their digests, indexes, and what they say of checkpoints,
transactions and reverts. Where compaction has dropped segments, the next footer is believed in what
they said. A segment that was not sealed may
end in a torn tail: that is told, and is damage only if a frame proves that it had been durable.

Exit code: 0 sound, 2 usage, 3 no log there, 4 damaged.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from struct import Struct
from typing import Final

from crc32c import crc32c

from tools.verify_segment import FIRST_FRAME, U32, Log, Segment

HEADER: Final = Struct("<8sHHIII16sQIIQQQ")


@dataclass
class Verifier:
    """One run over one directory."""

    path: Path
    log: Log = field(default_factory=Log)
    segments: list[Segment] = field(default_factory=list)
    uuid: bytes = b""
    epoch: int = 0
    clean: bool = False
    sealed_end_lsn: int = 0

    def blame(self, where: str, what: str) -> None:
        """Note that something is damaged."""
        self.log.blame(where, what)

    def run(self) -> None:
        """Verify everything."""
        sealed, active = self.manifest()
        self.sealed_end_lsn = sealed[-1][1] if sealed else 0
        names = sorted(p.name for p in self.path.glob("*.seg"))
        known = {f"{base:020d}.seg": rest for base, *rest in sealed}
        for name in known:
            if name not in names:
                self.blame("MANIFEST", f"segment {name} is missing")
        if active is not None and f"{active:020d}.seg" not in names:
            self.blame("MANIFEST", f"the active segment {active:020d}.seg is missing")
        for name in names:
            self.segment(name)
        for one in self.segments:
            if one.name in known:
                found = [one.end_lsn, one.digest, one.header_crc]
                if one.state != "sealed" or found != known[one.name]:
                    self.blame(one.name, "is not the sealed segment that the MANIFEST knows")
            elif one.base_lsn < self.sealed_end_lsn:
                inside = any(base <= one.base_lsn < end for base, end, *_ in sealed)
                if one.state != "sealed" or inside:
                    self.blame(one.name, "lies among sealed segments and is not in the MANIFEST")
                one.state = "dropped"  # compaction had no time to remove it
            elif self.clean:
                self.blame(one.name, "was left after a clean stop and is not in the MANIFEST")

    # The manifest.

    def manifest(self) -> tuple[list[tuple[int, int, int, int]], int | None]:
        """Read the sealed segments (base, end, digest, header CRC) and the active base."""
        data = (self.path / "MANIFEST").read_bytes()
        body, last = data[:-13], data[-13:]
        if last != b"crc %08x\n" % crc32c(body):
            self.blame("MANIFEST", "the checksum is wrong")
        sealed: list[tuple[int, int, int, int]] = []
        active = None
        try:
            lines = body.decode().splitlines()
            if lines[0] != "logstore-manifest 1":
                self.blame("MANIFEST", f"unknown version {lines[0]!r}")
            for line in lines[1:]:
                word, _, rest = line.partition(" ")
                if word == "segment":
                    base, end, digest, crc = rest.split()
                    sealed.append((int(base), int(end), int(digest, 16), int(crc, 16)))
                elif word == "active":
                    active = int(rest)
                elif word == "uuid":
                    self.uuid = bytes.fromhex(rest)
                elif word == "epoch":
                    self.epoch = int(rest)
                elif word == "clean":
                    self.clean = rest == "yes"
        except (ValueError, IndexError) as error:
            self.blame("MANIFEST", f"makes no sense: {error}")
        if any(a[1] > b[0] for a, b in pairwise(sealed)):
            self.blame("MANIFEST", "segments overlap")
        return sealed, active

    # One segment.

    def segment(self, name: str) -> None:
        """Verify one file and note it."""
        data = (self.path / name).read_bytes()
        one = Segment(name)
        if not self.header(one, data):
            return
        before = self.segments[-1] if self.segments else None
        self.chain(one, before)
        self.segments.append(one)
        self.log.contents(one, data)

    def header(self, one: Segment, data: bytes) -> bool:
        """Read the first 4096 bytes; False if nothing behind them can be judged."""
        if len(data) < FIRST_FRAME or data[:8] != b"LOGSTSEG":
            self.blame(one.name, "has no segment header")
            return False
        fields = HEADER.unpack_from(data)
        (one.header_crc,) = U32.unpack_from(data, FIRST_FRAME - 4)
        _, version, zero, incompatible, _, _, uuid, one.epoch, one.salt, digest = fields[:10]
        one.base_lsn, previous_end_lsn, _ = fields[10:]
        one.previous = (previous_end_lsn, digest)
        one.end_lsn = one.base_lsn
        checks = (
            (crc32c(data[: FIRST_FRAME - 4]) == one.header_crc, "the header's checksum is wrong"),
            (version == 1 and not incompatible and not zero, "is of an unknown version"),
            (uuid == self.uuid, "belongs to another log"),
            (f"{one.base_lsn:020d}.seg" == one.name, f"holds the segment at LSN {one.base_lsn}"),
            (one.base_lsn % 8 == 0 and one.base_lsn >= FIRST_FRAME, "begins at no LSN"),
            (one.epoch <= self.epoch, "is of an epoch that the MANIFEST does not know"),
            (not any(data[HEADER.size : FIRST_FRAME - 4]), "has bytes in the header's reserve"),
        )
        for passed, what in checks:
            if not passed:
                self.blame(one.name, what)
        return checks[0][0]

    def chain(self, one: Segment, before: Segment | None) -> None:
        """Judge a header's claim about the segment before it."""
        if before is None:
            if one.base_lsn == FIRST_FRAME and one.previous != (0, 0):
                self.blame(one.name, "is the first ever and names a predecessor")
            self.log.whole = one.base_lsn == FIRST_FRAME
            return
        if before.end_lsn < one.previous[0] and one.base_lsn < self.sealed_end_lsn:
            self.log.whole = False  # compaction has dropped what was between
        elif one.previous != (before.end_lsn, before.header_crc):
            self.blame(one.name, f"does not follow {before.name}, which ends at {before.end_lsn}")
        if one.epoch < before.epoch or one.base_lsn < before.end_lsn:
            self.blame(one.name, f"begins before {before.name} ends")
        if one.epoch == before.epoch and one.salt != before.salt:
            self.blame(one.name, "has another salt than its epoch")


def table(verifier: Verifier) -> str:
    """Draw what was found."""
    line = "{:<26}{:>7}{:>7}{:>12}{:>12}{:>16}{:>8}"
    rows = [line.format("segment", "state", "epoch", "frames", "records", "end LSN", "torn")]
    for one in verifier.segments:
        numbers = (one.epoch, one.frames, one.records, one.end_lsn, one.torn_bytes)
        rows.append(line.format(one.name, one.state, *numbers))
    rows += [f"DAMAGED {finding}" for finding in verifier.log.findings]
    rows.append(f"{len(verifier.segments)} segments, {len(verifier.log.findings)} findings")
    return "\n".join(rows)


def main(arguments: list[str]) -> int:
    """Verify the directory that is named; return the exit code."""
    parser = argparse.ArgumentParser(description="Verify a data directory, without logstore.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args(arguments)
    if not (given.directory / "MANIFEST").is_file():
        print(f"verify_directory: there is no log in {given.directory}", file=sys.stderr)
        return 3
    verifier = Verifier(given.directory)
    verifier.run()
    if given.json:
        segments = [asdict(one) for one in verifier.segments]
        groups = {
            verifier.log.names.get(k, f"#{k}"): g.last_seq for k, g in verifier.log.groups.items()
        }
        report = {"version": 1, "findings": verifier.log.findings, "segments": segments}
        print(json.dumps({**report, "last_seq": groups}))
    else:
        print(table(verifier))
    return 4 if verifier.log.findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
