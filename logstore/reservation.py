"""Filling a record in place: the context manager behind `Log.reserve`."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from logstore.errors import InvalidArgument
from logstore.ring._ring import Slot


class Reservation:
    """A place in the ring that the caller fills; leaving the block publishes it.

    The bytes belong to the caller inside the block and to the log afterwards. An exception inside
    aborts: readers never see the record. For one thread. The log waits for a reservation: nothing
    appended later becomes durable before this one is published or aborted, so be quick.

    Attributes:
        lsn: The record's LSN.
        buffer: Its payload, writable, of exactly the reserved size; what it holds at first is
            undefined. Release every view of it before the block ends.
    """

    __slots__ = ("_slot", "buffer", "lsn")

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self.lsn = slot.lsn
        self.buffer = memoryview(slot)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.buffer.release()
        except BufferError:
            self._slot.abort()
            if error is None:
                raise InvalidArgument(
                    "a view of the reservation's buffer (an array or memoryview) outlives the "
                    "block, so the record was aborted: delete the view before the block ends",
                    lsn=self.lsn,
                ) from None
            return
        if error is None:
            self._slot.publish()
        else:
            self._slot.abort()
