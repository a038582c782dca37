"""Filling a record in place: the context manager behind `Log.reserve`."""

from __future__ import annotations

from contextlib import suppress
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
        if error is not None:
            with suppress(BufferError):
                self.buffer.release()
            self._slot.abort()
            return
        try:
            self.buffer.release()
            self._slot.publish()
        except BufferError:
            self._slot.abort()
            raise InvalidArgument(
                "a view of the reservation's buffer (an array or memoryview) outlives the block: "
                "the record is aborted, and the log waits, until the view is gone; delete it "
                "before the block ends",
                lsn=self.lsn,
            ) from None
