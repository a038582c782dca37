"""Appending records to one group of a log; the default group is the log itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from logstore.errors import InvalidArgument
from logstore.lsn import Durability, require_durability
from logstore.reservation import Reservation
from logstore.ring._ring import Appender
from logstore.ring.layout import Level
from logstore.timeouts import Countdown, require_timeout

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

LEVELS: Final[dict[str, Level]] = {
    "ring": Level.RING,
    "written": Level.WRITTEN,
    "synced": Level.SYNCED,
}


class Writer(Appender):
    """The appending calls, for the group `_group_id` of the log behind `_ring`."""

    def _append_as(
        self, payload: ReadableBuffer, durability: Durability, timeout: float | None
    ) -> int:
        """Append in another case than the plain one, which C does; see `Appender.append`."""
        require_durability(durability)
        left = Countdown(timeout)
        lsn = self._ring.append(payload, left(), self._group_id)
        if durability != "ring":
            self._ring.wait(LEVELS[durability], lsn, left())
        return lsn

    def append_many(
        self,
        payloads: Iterable[ReadableBuffer],
        *,
        durability: Durability = "ring",
        timeout: float | None = None,
    ) -> list[int]:
        """Append records as one batch, all or nothing even after a crash; return their LSNs.

        The records are neighbours in the log. Otherwise as `append`, and faster per record; the
        batch with its headers must fit into a quarter of the ring.
        """
        require_durability(durability)
        if isinstance(payloads, (bytes, bytearray, memoryview, str)):
            raise InvalidArgument("append_many takes several payloads; use append for one")
        batch = payloads if isinstance(payloads, (list, tuple)) else list(payloads)
        left = Countdown(timeout)
        lsns = self._ring.append_many(batch, left(), self._group_id)
        if lsns and durability != "ring":
            self._ring.wait(LEVELS[durability], lsns[-1], left())
        return lsns

    def reserve(self, size: int, *, timeout: float | None = None) -> Reservation:
        """Reserve room for one record of exactly `size` bytes, to be filled in place.

        Use it as a context manager; see `Reservation`. Blocks while the ring is full.

        Raises:
            RingFull, RecordTooLarge, DiskFull, SyncFailed, NotRunning, Closed: As `append`.
        """
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            raise InvalidArgument(f"size must be a number of bytes from 0 on, not {size!r}")
        if size > self._ring.largest_payload:
            size = self._ring.capacity  # the ring words the error
        return Reservation(self._ring.reserve(size, require_timeout(timeout), self._group_id))
