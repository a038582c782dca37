"""Where in a running log a consumer can begin, or go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from logstore.errors import Compacted, InvalidLSN
from logstore.lsn import require_lsn
from logstore.ring._ring import LAYOUT

if TYPE_CHECKING:
    from logstore.handle import Handle

Start: TypeAlias = int | Literal["oldest", "newest"]

_ANY_KIND: Final = (1 << 64) - 1


def place_of(log: Handle, start: Start) -> int:
    """Return the LSN that `start` means now.

    Raises:
        InvalidLSN: No record begins there, or none was appended there yet.
        NotFound: It is older than the oldest record.
    """
    ring = log._client.ring
    oldest, head = ring.load(LAYOUT["start"]), ring.load(LAYOUT["head"])
    if start == "oldest" or start == "newest":
        return oldest if start == "oldest" else head
    if require_lsn(start) not in (oldest, head):
        log._reading.raw.load(start, _ANY_KIND)
    return start


def require_readable(log: Handle, lsn: int, whose: str) -> None:
    """Refuse a saved position at which the log cannot be read any more.

    Raises:
        Compacted: What begins there was deleted.
        InvalidLSN: The log does not reach as far.
    """
    ring = log._client.ring
    oldest, head = ring.load(LAYOUT["start"]), ring.load(LAYOUT["head"])
    if lsn < oldest:
        raise Compacted(
            f"records that {whose} has not read were deleted; the oldest there is is at LSN "
            f"{oldest}: `move` it there to go on without them",
            lsn=lsn,
        )
    if lsn > head:
        raise InvalidLSN(
            f"{whose} is beyond the log's end at LSN {head}: the directory is an older copy, "
            "perhaps; `move` it to where it shall go on",
            lsn=lsn,
        )
