"""MANIFEST: the small text file that says which segments make up the log."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from logstore.disk_errors import writing
from logstore.errors import Corruption, IncompatibleFormat, InvalidArgument
from logstore.files import Directory
from logstore.format import VERSION
from logstore.lsn import ALIGNMENT, FIRST_LSN, MAXIMUM_LSN
from logstore.segments import whole_file
from logstore.segments.whole_file import CRC_LINE_SIZE, crc_line

MANIFEST: Final = "MANIFEST"
_TEMPORARY: Final = "MANIFEST.tmp"
_MAGIC: Final = "logstore-manifest"
_LARGEST: Final = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SealedSegment:
    """Name a segment that never changes again.

    Attributes:
        base_lsn: Where it begins.
        end_lsn: Where its last frame ends.
        digest: CRC-32C over all its frames.
        header_crc: Checksum of its header.
    """

    base_lsn: int
    end_lsn: int
    digest: int
    header_crc: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """Say what the log consists of.

    Attributes:
        uuid: 16 random bytes that tell this log from all others.
        name: What the log is called.
        epoch: Its incarnation; each recovery is followed by a new one.
        clean: The log was shut down with nothing left to recover.
        start_lsn: Records below are gone.
        sealed: The sealed segments in order; compaction may have made holes between them.
            The newest is never dropped: its footer knows all groups.
        active_base_lsn: Where the growing segment begins. Crash: segments after the sealed ones
            that are not named here are the log's too; recovery finds them by their headers.
    """

    uuid: bytes
    name: str
    epoch: int
    clean: bool
    start_lsn: int
    sealed: tuple[SealedSegment, ...] = ()
    active_base_lsn: int | None = None

    @property
    def sealed_end_lsn(self) -> int:
        """Where the newest sealed segment ends, or the log starts if there is none."""
        return self.sealed[-1].end_lsn if self.sealed else self.start_lsn

    def encode(self) -> bytes:
        """Return the text with its checksum.

        Raises:
            InvalidArgument: The name is empty, too long, or not one line of printable text.
        """
        if not 1 <= len(self.name) <= 255 or not self.name.isprintable():
            raise InvalidArgument(
                f"a log's name must be 1 to 255 printable characters: {self.name!r}"
            )
        body = "".join(f"{line}\n" for line in self._lines()).encode()
        return body + crc_line(body)

    def _lines(self) -> Iterator[str]:
        yield f"{_MAGIC} {VERSION}"
        yield f"uuid {self.uuid.hex()}"
        yield f"name {self.name}"
        yield f"epoch {self.epoch}"
        yield f"clean {'yes' if self.clean else 'no'}"
        yield f"start {self.start_lsn}"
        for one in self.sealed:
            numbers = (
                f"{one.base_lsn:020d} {one.end_lsn:020d} {one.digest:08x} {one.header_crc:08x}"
            )
            yield f"segment {numbers}"
        if self.active_base_lsn is not None:
            yield f"active {self.active_base_lsn:020d}"

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the text.

        Raises:
            Corruption: It is not exactly what some `encode` gave.
            IncompatibleFormat: It is whole, but of a version that is not known here.
        """
        body, last_line = data[:-CRC_LINE_SIZE], data[-CRC_LINE_SIZE:]
        if last_line != crc_line(body):
            raise Corruption("the checksum of the manifest is wrong")
        first, _, rest = body.partition(b"\n")
        if first.startswith(_MAGIC.encode()) and first != f"{_MAGIC} {VERSION}".encode():
            raise IncompatibleFormat(
                f"manifest {first.decode(errors='replace')!r} is not known here"
            )
        try:
            manifest = cls._parse(rest.decode().split("\n"))
            # One text for one meaning: whatever is not written exactly so is not ours.
            if manifest.encode() != data:
                raise Corruption("the manifest is not in its one right form")
        except (ValueError, IndexError) as error:
            raise Corruption(f"the manifest makes no sense: {error}") from error
        manifest._check()
        return manifest

    @classmethod
    def _parse(cls, lines: list[str]) -> Self:
        values = dict(line.split(" ", 1) for line in lines[:5])
        sealed = []
        active = None
        for line in lines[5:-1]:
            word, *numbers = line.split(" ")
            if word == "active":
                active = int(numbers[0])
            else:
                base, end, digest, crc = numbers
                sealed.append(SealedSegment(int(base), int(end), int(digest, 16), int(crc, 16)))
        try:
            return cls(
                uuid=bytes.fromhex(values["uuid"]),
                name=values["name"],
                epoch=int(values["epoch"]),
                clean=values["clean"] == "yes",
                start_lsn=int(values["start"]),
                sealed=tuple(sealed),
                active_base_lsn=active,
            )
        except KeyError as error:
            raise Corruption(f"the manifest has no line {error}") from error

    def _check(self) -> None:
        positions = [0]
        positions += [position for one in self.sealed for position in (one.base_lsn, one.end_lsn)]
        if self.active_base_lsn is not None:
            positions.append(self.active_base_lsn)
        checksums = [crc for one in self.sealed for crc in (one.digest, one.header_crc)]
        if len(self.uuid) != 16 or positions != sorted(positions):
            raise Corruption("the manifest contradicts itself")
        if not 0 <= self.epoch < 2**64 or not all(0 <= crc < 2**32 for crc in checksums):
            raise Corruption("the manifest has a number that is too large")
        for lsn in (self.start_lsn, *positions):
            if not 0 <= lsn <= MAXIMUM_LSN or lsn % ALIGNMENT:
                raise Corruption("the manifest names a position that is none")


def create(directory: Directory, name: str) -> Manifest:
    """Make the manifest of a new, empty log, and return it; durable on return.

    Raises:
        InvalidArgument: The name cannot be a log's.
        DiskFull, SyncFailed, PermissionDenied: It could not be saved.
    """
    manifest = Manifest(uuid=os.urandom(16), name=name, epoch=0, clean=True, start_lsn=FIRST_LSN)
    save(directory, manifest)
    return manifest


def load(directory: Directory) -> Manifest | None:
    """Read the manifest; None if there is none.

    Raises:
        Corruption, IncompatibleFormat: It cannot be used.
        ReadFailed, PermissionDenied: It could not be read.
    """
    data = whole_file.load(directory, MANIFEST, _LARGEST)
    if data is None:
        return None
    try:
        return Manifest.decode(data)
    except (Corruption, IncompatibleFormat) as error:
        error.path = directory.path / MANIFEST
        raise


def save(directory: Directory, manifest: Manifest, *, mode: int = 0o600) -> None:
    """Replace the manifest as a whole; durable on return, and so are all renames before it.

    Blocks on the disk. Crash: the old or the new one is there, whole. Only the one process
    that writes the log's files may call this.

    Raises:
        DiskFull, SyncFailed, PermissionDenied: The old one is still there, or, if syncing the
            directory failed, either.
    """
    data = manifest.encode()
    # Order: every segment that the text names is on the disk under its name before. A file system
    # may keep this rename and lose an earlier one, and recovery would miss a segment.
    with writing(MANIFEST):
        directory.sync()
    whole_file.replace(
        directory, MANIFEST, data, temporary=_TEMPORARY, folder=".", mode=mode, what="manifest"
    )
