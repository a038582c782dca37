"""Which bytes of a region are changed, and how."""

from __future__ import annotations

import mmap
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from logstore.ring._ring import LAYOUT
from logstore.ring.layout import CLIENTS, GROUPS, HEADER_SIZE, TRANSACTIONS

KINDS: Final = ("zeros", "ones", "low bit", "high bit")
_USED: Final = {"groups": 2, "clients": 5, "transactions": 1}
_TABLES: Final = {
    "groups": ("group.size", GROUPS),
    "clients": ("client.size", CLIENTS),
    "transactions": ("transaction.size", TRANSACTIONS),
}


@dataclass(frozen=True, slots=True)
class Poke:
    """Change one byte, and the same byte of as many entries of a table as follow it."""

    offset: int
    stride: int
    count: int
    kind: str

    def apply(self, memory: mmap.mmap) -> bool:
        """Change the bytes; tell whether that made a difference."""
        changed = False
        for number in range(self.count):
            at = self.offset + number * self.stride
            byte = memory[at]
            values = {"zeros": 0, "ones": 255, "low bit": byte ^ 1, "high bit": byte ^ 128}
            memory[at] = values[self.kind]
            changed |= memory[at] != byte
        return changed

    def __str__(self) -> str:
        return f"--only {self.offset}:{self.kind}"


def spots() -> list[tuple[int, int, int]]:
    """List (offset, stride, count) that together cover the whole header.

    Entries of a table that nobody uses are all alike, so the same byte of all is changed at once;
    and so are all bytes of a stretch between two pages of fields.
    """
    found = []
    tables = {LAYOUT[name]: name for name in _TABLES}
    end = LAYOUT["transactions"] + LAYOUT["transaction.size"] * TRANSACTIONS
    nothing = {
        LAYOUT["identity.directory"] + LAYOUT["directory.size"]: LAYOUT["owner"],
        LAYOUT["syncer_restarts"] + 8: LAYOUT["groups"],
    }
    offset = 0
    while offset < end:
        if offset in nothing:
            found.append((offset, 1, nothing[offset] - offset))
            offset = nothing[offset]
        elif offset not in tables:
            found.append((offset, 0, 1))
            offset += 1
        else:
            name = tables[offset]
            size, entries = LAYOUT[_TABLES[name][0]], _TABLES[name][1]
            used = _USED[name]
            found += [(offset + at, 0, 1) for at in range(used * size)]
            found += [(offset + used * size + at, size, entries - used) for at in range(size)]
            offset += size * entries
    # Behind the last table is nothing up to the ring.
    return [*found, (end, 1, HEADER_SIZE - end)]


def words_in_use() -> set[int]:
    """Return the offsets of all bytes that mean something in the log that is tried."""
    plain = [at for name, at in LAYOUT.items() if name.islower() and "." not in name]
    starts = {at for at in plain if at >= LAYOUT["owner"]} - {LAYOUT[name] for name in _TABLES}
    starts |= {at for name, at in LAYOUT.items() if name.startswith("identity.")}
    for name, (size, _) in _TABLES.items():
        fields = [
            at for key, at in LAYOUT.items() if key.startswith(name[:-1] + ".") and key != size
        ]
        entries = [LAYOUT[name] + number * LAYOUT[size] for number in range(_USED[name])]
        starts |= {entry + field for entry in entries for field in fields}
    return {start + byte for start in starts for byte in range(8)}


def pokes_of(
    count: int | None, seed: int, only: str | None, part: tuple[int, int] = (0, 1)
) -> Iterator[Poke]:
    """Iterate over all pokes, or a part of them (its number, and how many there are), or a sample,
    or one."""
    everything = [Poke(*spot, kind) for spot in spots() for kind in KINDS]
    if part != (0, 1):
        everything = everything[part[0] :: part[1]]
    elif only:
        everything = [poke for poke in everything if f"{poke.offset}:{poke.kind}" == only]
    elif count is not None:
        used = words_in_use()
        telling = [poke for poke in everything if poke.offset in used]
        dice = random.Random(seed)
        # Most bytes are spare, or counters: half of the sample is of those that say something.
        everything = dice.sample(everything, count - count // 2)
        everything += dice.sample(telling, min(count // 2, len(telling)))
    return iter(everything)
