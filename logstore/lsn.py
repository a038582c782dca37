"""Log positions: what is one, and in which order the watermarks stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from logstore.errors import InvalidArgument, InvalidLSN

ALIGNMENT: Final = 8
"""Every frame starts at a multiple of this many bytes."""

FIRST_LSN: Final = 4096
"""The first position of a log: 0 is never a record, and in the first segment LSN is offset."""

MAXIMUM_LSN: Final = 2**63 - 8
"""The last position there can be; at 1 GB/s it is reached after 292 years."""

Durability: TypeAlias = Literal["ring", "written", "synced"]
DURABILITIES: Final[tuple[Durability, ...]] = get_args(Durability)


@dataclass(frozen=True, slots=True)
class Watermarks:
    """Hold one reading of the positions that a running log publishes; all only move forward.

    A reading is not one instant: each field was read for itself. Read from `start` to
    `reserved`, the order below holds all the same, because each later one is ahead.

    Attributes:
        start: Records below are gone.
        checkpointed: Records below are not needed any more.
        synced: Bytes below survive power loss.
        written: Bytes below survive the death of all processes and of the region.
        published: Bytes below are whole.
        reserved: The next record starts here.
    """

    start: int
    checkpointed: int
    synced: int
    written: int
    published: int
    reserved: int

    @property
    def ordered(self) -> bool:
        """Tell whether the one line that every log obeys holds."""
        # Invariant: start <= checkpointed, and
        # start <= synced <= written <= published <= reserved.
        return (
            self.start <= self.checkpointed
            and self.start <= self.synced <= self.written <= self.published <= self.reserved
        )


def require_lsn(value: object, *, name: str = "lsn") -> int:
    """Return `value` if it can be a position.

    Raises:
        InvalidLSN: It is no int, is negative or too large, or is no multiple of 8.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidLSN(f"{name} must be an int, not {type(value).__name__}")
    if not 0 <= value <= MAXIMUM_LSN:
        raise InvalidLSN(f"{name} must be from 0 to {MAXIMUM_LSN}, not {value}")
    if value % ALIGNMENT:
        raise InvalidLSN(f"{name} must be a multiple of {ALIGNMENT}, not {value}")
    return value


def require_durability(value: object) -> Durability:
    """Return `value` if it names a durability level.

    Raises:
        InvalidArgument: It is none of "ring", "written" and "synced".
    """
    if value in DURABILITIES:
        return value
    allowed = ", ".join(repr(level) for level in DURABILITIES)
    raise InvalidArgument(f"durability must be one of {allowed}, not {value!r}")
