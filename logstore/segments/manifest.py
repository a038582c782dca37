"""MANIFEST: the small text file that says which segments make up the log."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import chain
from operator import or_
from typing import Final, NamedTuple, Self

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
_SEGMENT: Final = "segment %020d %020d %08x %08x\n"
_SEGMENTS: Final = re.compile(
    r"^segment (\d{20}) (\d{20}) ([0-9a-f]{8}) ([0-9a-f]{8})$", re.M | re.A
)


class SealedSegment(NamedTuple):
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


class _Lines:
    """The lines of sealed segments, kept from one encoding to the next, which has one more."""

    def __init__(self) -> None:
        self._kept: tuple[tuple[SealedSegment, ...], str] = ((), "")

    def __call__(self, sealed: tuple[SealedSegment, ...]) -> str:
        """Return the lines; makes those that the last call did not."""
        before, text = self._kept
        if sealed[: len(before)] != before:
            before, text = (), ""
        text += "".join(map(_SEGMENT.__mod__, sealed[len(before) :]))
        self._kept = (sealed, text)
        return text


_sealed_lines: Final = _Lines()


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
        body = "".join([*self._lines(), _sealed_lines(self.sealed), *self._last()]).encode()
        return body + crc_line(body)

    def _lines(self) -> Iterator[str]:
        yield f"{_MAGIC} {VERSION}\n"
        yield f"uuid {self.uuid.hex()}\n"
        yield f"name {self.name}\n"
        yield f"epoch {self.epoch}\n"
        yield f"clean {'yes' if self.clean else 'no'}\n"
        yield f"start {self.start_lsn}\n"

    def _last(self) -> Iterator[str]:
        if self.active_base_lsn is not None:
            yield f"active {self.active_base_lsn:020d}\n"

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
            manifest = cls._parse(rest.decode())
            # One text for one meaning: whatever is not written exactly so is not ours.
            if manifest.encode() != data:
                raise Corruption("the manifest is not in its one right form")
        except (ValueError, IndexError) as error:
            raise Corruption(f"the manifest makes no sense: {error}") from error
        manifest._check()
        return manifest

    @classmethod
    def _parse(cls, text: str) -> Self:
        """Read what is written in the right form, and pass over the rest."""
        values = dict(line.split(" ", 1) for line in text.split("\n", 5)[:5])
        _, word, active = text.rpartition("\nactive ")
        sealed = [
            SealedSegment(int(base), int(end), int(digest, 16), int(crc, 16))
            for base, end, digest, crc in _SEGMENTS.findall(text)
        ]
        try:
            return cls(
                uuid=bytes.fromhex(values["uuid"]),
                name=values["name"],
                epoch=int(values["epoch"]),
                clean=values["clean"] == "yes",
                start_lsn=int(values["start"]),
                sealed=tuple(sealed),
                active_base_lsn=int(active) if word else None,
            )
        except KeyError as error:
            raise Corruption(f"the manifest has no line {error}") from error

    def _check(self) -> None:
        positions = [0, *chain.from_iterable(one[:2] for one in self.sealed)]
        if self.active_base_lsn is not None:
            positions.append(self.active_base_lsn)
        if len(self.uuid) != 16 or positions != sorted(positions):
            raise Corruption("the manifest contradicts itself")
        if not 0 <= self.epoch < 2**64:  # Checksums cannot be: they have eight digits each.
            raise Corruption("the manifest has a number that is too large")
        positions.append(self.start_lsn)
        if max(positions) > MAXIMUM_LSN or reduce(or_, positions) % ALIGNMENT or min(positions) < 0:
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


@lru_cache(maxsize=1)
def _decoded(data: bytes) -> Manifest:
    """Decode once what a process loads several times while it starts."""
    return Manifest.decode(data)


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
        return _decoded(data)
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
