"""Whether the words of a region can all be true. Only something that is no part of logstore, and
may write the region, makes them contradict each other; who works by them asks first."""

from __future__ import annotations

from pathlib import Path

from logstore.errors import Corruption
from logstore.lsn import ALIGNMENT
from logstore.ring._ring import LAYOUT, Ring

_RISING = ("start", "synced", "written", "published", "head")


def complaint(ring: Ring) -> str:
    """Say what contradicts what, "" if nothing does; for the process that drains."""
    load = ring.load
    revert = load(LAYOUT["newest_revert_lsn"])
    # Order: from the lowest word to the highest, so that none is overtaken meanwhile.
    words = [load(LAYOUT[name]) for name in _RISING]
    start, synced, written, published, head = words
    if not start <= synced <= written <= published <= head <= written + ring.capacity:
        pairs = ", ".join(f"{name} {word}" for name, word in zip(_RISING, words, strict=True))
        return f"its positions do not rise: {pairs}"
    if (start | synced | written | head) % ALIGNMENT:
        return "a position is not aligned"
    return "" if revert < head else f"a revert at {revert} lies behind its head {head}"


def require_sound(ring: Ring, place: Path) -> None:
    """Refuse a region whose words contradict each other.

    Raises:
        Corruption: With what it says.
    """
    wrong = complaint(ring)
    if wrong:
        raise Corruption(
            f"the log's shared memory is damaged ({wrong}); nothing was written "
            "from it. Remove it to go on with what had reached the files",
            path=place,
        )
