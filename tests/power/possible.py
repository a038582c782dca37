"""The images that a power loss at one moment may leave, each by a choice."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.power.disk import BLOCK, Disk, File, apply_change, folder_of
from tests.power.profiles import Profile
from tests.power.recording import Image

GARBAGES = 2


@dataclass(frozen=True, slots=True)
class Sector:
    """One unit of a file that may be in one of several versions; version 0 is the durable one."""

    file: int
    offset: int
    versions: list[bytes]
    born: list[int]  # the index of the op that made each version

    def __len__(self) -> int:
        return len(self.versions)


class Possibilities:
    """All images that a power loss at one moment may leave.

    A choice is one number for each unit, below its count: first the journal or the names, then
    the sizes, then the sectors.
    """

    def __init__(self, disk: Disk, profile: Profile, seed: int) -> None:
        self._disk = disk
        self._profile = profile
        self._rng = random.Random(seed)
        self._resized = [n for n, f in disk.files.items() if f.sizes]
        self.counts: list[int] = []
        self._meta: list[int] = []
        changes = len(disk.changes)
        if profile.ordered:
            sizes = [one[0] for n in self._resized for one in disk.files[n].sizes]
            self._meta = sorted({c.index for c in disk.changes} | set(sizes))
            self.counts.append(len(self._meta) + 1)
        else:
            self.counts += [2] * changes if profile.weak_names else [changes + 1]
            self.counts += [len(disk.files[n].sizes) + 1 for n in self._resized]
        self._first_sector = len(self.counts)
        self._sectors = [s for n, f in disk.files.items() for s in self._sectors_of(n, f)]
        self.counts += [len(sector) for sector in self._sectors]
        self._plain = {n: f.base for n, f in disk.files.items()}

    def _sectors_of(self, number: int, file: File) -> Iterator[Sector]:
        granule = self._profile.granule
        if not file.writes and not (file.sizes and self._profile.stale):
            return
        dirty: dict[int, Sector] = {}
        whole: dict[int, bytes] = {}
        now = bytearray(file.base)
        for index, offset, data in file.writes:
            end = offset + len(data)
            now.extend(bytes(max(0, end - len(now))))
            now[offset:end] = data
            for at in range(offset - offset % granule, end, granule):
                if at // BLOCK in file.sick:
                    continue
                if at not in dirty:
                    dirty[at] = Sector(number, at, [self._oldest(file, at)], [-1])
                content = bytes(now[at : at + granule]).ljust(granule, b"\0")
                before = whole.get(at, dirty[at].versions[0])
                whole[at] = content
                dirty[at].versions.append(content)
                dirty[at].born.append(index)
                if self._profile.garbage:
                    self._add_garbage(dirty[at], index, before)
        yield from dirty.values()

    def _oldest(self, file: File, at: int) -> bytes:
        granule = self._profile.granule
        known = file.base[at : at + granule]
        if len(known) == granule or not self._profile.stale or not self._disk.old_sectors:
            return known.ljust(granule, b"\0")
        stale = self._rng.choice(self._disk.old_sectors)[len(known) % 512 :]
        return (known + stale).ljust(granule, b"\0")[:granule]

    def _add_garbage(self, sector: Sector, index: int, before: bytes) -> None:
        """Add versions of a sector in which the bytes that a write changes came out wrong."""
        whole = sector.versions[-1]
        changed = [
            at for at, (old, new) in enumerate(zip(before, whole, strict=True)) if old != new
        ]
        for _ in range(GARBAGES):
            noisy = bytearray(whole)
            if changed:
                begin, end = changed[0], changed[-1] + 1
                noisy[begin:end] = self._rng.randbytes(end - begin)
            sector.versions.append(bytes(noisy))
            sector.born.append(index)

    # From a choice to an image.

    def newest(self) -> tuple[int, ...]:
        """Return the choice in which everything has arrived."""
        return tuple(
            count - 1 if unit < self._first_sector else self._written(unit)
            for unit, count in enumerate(self.counts)
        )

    def _written(self, unit: int) -> int:
        last = len(self._sectors[unit - self._first_sector]) - 1
        return last - GARBAGES if self._profile.garbage else last

    def image(self, choice: Sequence[int]) -> Image:
        """Return what the disk holds by this choice."""
        names, folders, sizes, reached = self._metadata(choice)
        parts: dict[int, list[tuple[int, bytes]]] = {}
        for sector, version in zip(self._sectors, choice[self._first_sector :], strict=True):
            if self._profile.ordered and not version:
                version = self._forced(sector, sizes, reached)
            if version or self._profile.stale:
                parts.setdefault(sector.file, []).append((sector.offset, sector.versions[version]))
        files = {}
        for name, number in names.items():
            if "/" in name and folder_of(name) not in folders:
                continue
            files[name] = self._content(number, parts.get(number, ()), sizes.get(number))
        return Image(files, frozenset(folders))

    def _metadata(
        self, choice: Sequence[int]
    ) -> tuple[dict[str, int], set[str], dict[int, int], int]:
        disk = self._disk
        names, folders = dict(disk.names), set(disk.folders)
        if self._profile.ordered:
            reached = self._meta[choice[0] - 1] if choice[0] else -1
            kept = [change.index <= reached for change in disk.changes]
            sizes = {
                n: next((s[2] for s in reversed(disk.files[n].sizes) if s[0] <= reached), None)
                for n in self._resized
            }
        else:
            reached = 1 << 60
            changes = len(disk.changes)
            weak = self._profile.weak_names
            kept = list(map(bool, choice[:changes])) if weak else []
            kept = kept or [place < choice[0] for place in range(changes)]
            picks = choice[self._first_sector - len(self._resized) : self._first_sector]
            sizes = {
                n: disk.files[n].sizes[pick - 1][2] if pick else None
                for n, pick in zip(self._resized, picks, strict=True)
            }
        for change, keep in zip(disk.changes, kept, strict=True):
            if keep:
                apply_change(names, folders, change)
        return names, folders, {n: s for n, s in sizes.items() if s is not None}, reached

    def _forced(self, sector: Sector, sizes: dict[int, int], reached: int) -> int:
        """Return the version of bytes that came before the size that covers them."""
        base = len(self._disk.files[sector.file].base)
        if sector.offset + self._profile.granule <= base or sector.file not in sizes:
            return 0
        return max((v for v, born in enumerate(sector.born) if born <= reached), default=0)

    def _content(self, number: int, parts: Sequence[tuple[int, bytes]], size: int | None) -> bytes:
        base = self._disk.files[number].base
        if not parts and size is None:
            return base
        length = len(base) if size is None else size
        data = bytearray(base)
        for offset, content in parts:
            data.extend(bytes(max(0, offset + len(content) - len(data))))
            data[offset : offset + len(content)] = content
        return bytes(data[:length]).ljust(length, b"\0")
