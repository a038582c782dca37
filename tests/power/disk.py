"""What a disk may hold: for every sector one of its versions since the last sync of its file.

Sizes count apart from bytes, and names apart from both: they are durable by a sync of their folder
only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Self

from tests.power.profiles import Profile
from tests.power.recording import Op, Trace

BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a name that is not durable yet."""

    index: int
    folder: str
    gone: str = ""
    there: str = ""
    file: int = 0


@dataclass(slots=True)
class File:
    """One file: its durable bytes, and what was done to it since.

    `writes` are (index of the op, offset, bytes); `sizes` are (index, size before, size after).
    `filled` are the blocks that a sync has filled, `sick` those of which the first one failed.
    """

    base: bytes = b""
    writes: list[tuple[int, int, bytes]] = field(default_factory=list)
    sizes: list[tuple[int, int, int]] = field(default_factory=list)
    filled: set[int] = field(default_factory=set)
    sick: set[int] = field(default_factory=set)

    @property
    def size(self) -> int:
        """How long the file seems to everybody while the power is on."""
        return self.sizes[-1][2] if self.sizes else len(self.base)

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Return a file with durable bytes; blocks of zeros may be reserved and not filled."""
        starts = range(0, len(data), BLOCK)
        return cls(data, filled={at // BLOCK for at in starts if any(data[at : at + BLOCK])})


def _blocks(writes: Iterable[tuple[int, int, bytes]]) -> set[int]:
    """Return the numbers of the blocks that writes are in."""
    return {
        number
        for _, offset, data in writes
        for number in range(offset // BLOCK, (offset + len(data) - 1) // BLOCK + 1)
    }


class Disk:
    """Follow a trace; at any time tell what a power loss may leave."""

    def __init__(self, trace: Trace, profile: Profile) -> None:
        self._sickens = profile.sick_blocks
        self.files = {
            number: File.of(data) for number, data in enumerate(trace.before.files.values(), 1)
        }
        self.names = {name: number for number, name in enumerate(trace.before.files, 1)}
        self.folders = set(trace.before.folders)
        self.changes: list[Change] = []
        self.old_sectors: list[bytes] = []  # what stale sectors may show

    def apply(self, index: int, op: Op) -> bool:
        """Take in the op with this index; tell whether it changed what the disk may hold."""
        take = getattr(self, f"_{op.what}", None)
        if take is not None:
            take(index, op)
        return take is not None

    def _create(self, index: int, op: Op) -> None:
        self.files[op.file] = File()
        self.changes.append(Change(index, folder_of(op.name), there=op.name, file=op.file))

    def _rename(self, index: int, op: Op) -> None:
        self.changes.append(
            Change(index, folder_of(op.name), gone=op.name, there=op.to, file=op.file)
        )

    def _unlink(self, index: int, op: Op) -> None:
        self.changes.append(Change(index, folder_of(op.name), gone=op.name))

    def _folder(self, index: int, op: Op) -> None:
        self.changes.append(Change(index, ".", there=op.name))

    def _write(self, index: int, op: Op) -> None:
        file = self.files[op.file]
        end = op.number + len(op.data)
        if end > file.size:
            file.sizes.append((index, file.size, end))
        file.writes.append((index, op.number, op.data))
        if len(self.old_sectors) < 64:
            self.old_sectors.append(op.data[:512].ljust(512, b"\xa5"))

    def _size(self, index: int, op: Op) -> None:
        file = self.files[op.file]
        before = file.size
        file.sizes.append((index, before, op.number))
        if op.number < before:  # what was cut off is zeros if the file ever grows again
            file.writes.append((index, op.number, bytes(before - op.number)))

    def _sync(self, index: int, op: Op) -> None:
        file = self.files[op.file]
        covered = [one for one in file.writes if one[0] < op.number]
        sizes = [one for one in file.sizes if one[0] < op.number]
        size = sizes[-1][2] if sizes else len(file.base)
        data = bytearray(file.base)
        for _, offset, new in covered:
            data.extend(bytes(max(0, offset + len(new) - len(data))))
            data[offset : offset + len(new)] = new
        for at in (number * BLOCK for number in file.sick):
            data[at : at + BLOCK] = bytes(len(data[at : at + BLOCK]))
        file.filled |= _blocks(covered) - file.sick
        file.base = bytes(data[:size]).ljust(size, b"\0")
        file.writes = [one for one in file.writes if one[0] >= op.number]
        file.sizes = [one for one in file.sizes if one[0] >= op.number]

    def _sync_failed(self, index: int, op: Op) -> None:
        # What was pending is lost, and the kernel takes it for written: no later sync writes it.
        file = self.files[op.file]
        if self._sickens:
            file.sick |= _blocks(one for one in file.writes if one[0] < op.number) - file.filled
        file.writes = [one for one in file.writes if one[0] >= op.number]
        file.sizes = [(index, len(file.base), file.size)] if file.sizes else []

    def _sync_names(self, index: int, op: Op) -> None:
        for change in self.changes:
            if change.folder == op.name and change.index < op.number:
                apply_change(self.names, self.folders, change)
        self.changes = [c for c in self.changes if c.folder != op.name or c.index >= op.number]


def folder_of(name: str) -> str:
    return str(PurePosixPath(name).parent)


def apply_change(names: dict[str, int], folders: set[str], change: Change) -> None:
    if change.gone:
        names.pop(change.gone, None)
    if change.there and not change.file:
        folders.add(change.there)
    elif change.there:
        names[change.there] = change.file
