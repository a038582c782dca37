"""What one process does with a log, as calls with plain values: they can go over pipes too."""

from __future__ import annotations

from collections.abc import Iterator

import logstore
from logstore import Record
from logstore.lsn import Durability
from logstore.reservation import Reservation
from logstore.transaction import Transaction
from tests.programs.party_parts import Consumer, Keeper
from tests.programs.rows import Row, row_of
from tests.service import until


class Party(Keeper, Consumer):
    """One process's handle on a log, its transactions by number, its unfinished readings."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.log = logstore.attach(name)
        self._transactions: dict[int, Transaction] = {}
        self._readings: dict[int, Iterator[Record]] = {}
        self._held: Reservation | None = None

    def detach(self) -> None:
        """Leave the log; what was open is lost."""
        self.log.close()
        self.forget_cursors()
        self._transactions.clear()
        self._readings.clear()

    def attach(self) -> None:
        """Come back to the log."""
        self.log = logstore.attach(self._name)

    # Writing.

    def append(self, group: str, payload: bytes, durability: Durability) -> int:
        """Append one record; return its LSN."""
        return self.log.group(group).append(payload, durability=durability, timeout=10.0)

    def append_many(self, group: str, payloads: list[bytes]) -> list[int]:
        """Append a batch; return the LSNs."""
        return self.log.group(group).append_many(payloads, timeout=10.0)

    def reserve(self, group: str, payload: bytes, abort: bool) -> int:
        """Fill a reservation, and publish or abort it; return its LSN."""
        try:
            with self.log.group(group).reserve(len(payload), timeout=10.0) as reservation:
                reservation.buffer[:] = payload
                if abort:
                    raise InterruptedError
        except InterruptedError:
            pass
        return reservation.lsn

    def hold(self, group: str, size: int) -> int:
        """Reserve and leave it at that; return the LSN."""
        self._held = self.log.group(group).reserve(size, timeout=10.0)
        return self._held.lsn

    # Transactions.

    def begin(self, number: int, group: str | None) -> None:
        """Begin a transaction."""
        self._transactions[number] = self.log.transaction(group)

    def part(self, number: int, payload: bytes, group: str | None) -> int:
        """Append a part; return its LSN."""
        return self._transactions[number].append(payload, group=group, timeout=10.0)

    def commit(self, number: int, durability: Durability) -> int:
        """Commit; return the commit's LSN, 0 if there were no parts."""
        return self._transactions.pop(number).commit(durability=durability, timeout=10.0)

    def abort(self, number: int) -> None:
        """Abort."""
        self._transactions.pop(number).abort()

    def commit_aborted(self, number: int) -> None:
        """Abort, and commit nevertheless."""
        transaction = self._transactions.pop(number)
        transaction.abort()
        transaction.commit()

    def revert(self, lsn: int) -> int:
        """Revert; return the revert's LSN."""
        return self.log.revert(lsn)

    # Reading.

    def settle(self) -> None:
        """Make everything durable: from here on every level reads the same."""
        self.log.sync(timeout=10.0)

    def until_published(self) -> None:
        """Wait until the committer has seen everything."""
        ready = self.log.watermarks().reserved
        until(lambda: self.log.watermarks().published >= ready, f"published reaches {ready}")

    def read(
        self,
        start: int | None = None,
        end: int | None = None,
        *,
        durability: Durability = "synced",
        group: str | None = None,
        uncommitted: bool = False,
        reverted: bool = False,
        copy: bool = True,
        reverse: bool = False,
    ) -> list[Row]:
        """Read to the end."""
        records = self.log.read(
            start,
            end,
            durability=durability,
            group=group,
            uncommitted=uncommitted,
            reverted=reverted,
            copy=copy,
            reverse=reverse,
        )
        return [row_of(record) for record in records]

    def follow(self, start: int, group: str | None) -> list[Row]:
        """Follow until nothing comes for no time at all."""
        return [row_of(record) for record in self.log.follow(start, group=group, timeout=0.0)]

    def load(self, lsn: int) -> Row:
        """Load one record."""
        return row_of(self.log.load(lsn))

    def start_reading(
        self,
        number: int,
        uncommitted: bool = False,
        group: str | None = None,
        reverse: bool = False,
    ) -> None:
        """Begin to read, and take nothing yet."""
        self._readings[number] = self.log.read(
            uncommitted=uncommitted, group=group, reverse=reverse
        )

    def go_on_reading(self, number: int, most: int) -> list[Row]:
        """Take a few more records of a reading; fewer if it ends."""
        found: list[Row] = []
        for record in self._readings[number]:
            found.append(row_of(record))
            if len(found) == most:
                break
        return found
