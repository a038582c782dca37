"""Transactions: records that become visible together, at the place of their commit."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Self

from logstore.errors import InvalidArgument, RecordTooLarge, RevertedError
from logstore.frames import TXN_ABORT, TXN_COMMIT
from logstore.lsn import Durability, require_durability
from logstore.payloads import PART_PREFIX_SIZE, Commit, encode_commit, encode_txn_abort
from logstore.ring import transactions
from logstore.ring.failure import too_large
from logstore.segments.ranges import RangeSet
from logstore.timeouts import Countdown
from logstore.writing import LEVELS

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from logstore.log import Log


class Transaction:
    """Collect records that become visible all together, or not at all.

    Made by `Log.transaction`; use it as a context manager: leaving commits, leaving by an
    exception aborts, and so does the death of the process. Parts go into the log as they come, so
    a transaction may be larger than the ring. Many may be open at once. For one thread. One that is
    dropped without commit or abort comes to nothing.

    Attributes:
        id: The LSN of the first part; 0 before there is one.
        lsn: The LSN of the commit, its place in the order; None until it is committed.
    """

    def __init__(self, log: Log, group: str | None) -> None:
        self._log = log
        self._group = group
        self._client = log._client
        self._pid = os.getpid()
        self._entry: int | None = None
        self._over = ""
        self._last = self._count = 0
        self._seqs: dict[int, RangeSet] = {}
        self.id = 0
        self.lsn: int | None = None

    def append(
        self, payload: ReadableBuffer, *, group: str | None = None, timeout: float | None = None
    ) -> int:
        """Append one part and return its LSN; invisible until the commit.

        Args:
            payload: Any contiguous buffer; copied.
            group: Its group; the transaction's if not given.
            timeout: Seconds to wait for room; None waits for ever.

        Raises:
            InvalidArgument: The transaction is over, or belongs to another process.
            LimitReached: Too many transactions are open.
            RingFull, RecordTooLarge, NotRunning, Closed: As `Log.append`; it stays open.
        """
        self._require_open()
        self._log._require_open()
        left = Countdown(timeout)
        number = self._log._group_number(group if group is not None else self._group)
        if self._entry is None:
            self._entry = transactions.claim(self._client)
        try:
            lsn, seq = self._log._ring.append_part(payload, left(), number, self.id)
        except RecordTooLarge:
            most = self._log._ring.largest_payload - PART_PREFIX_SIZE
            raise too_large(f"a part of {memoryview(payload).nbytes} bytes", most) from None
        self._seqs.setdefault(number, RangeSet()).add(seq, seq)
        if not self.id:
            self.id = lsn
            transactions.begun(self._client, self._entry, lsn)
        self._last = lsn
        self._count += 1
        return lsn

    def seqs(self, group: int) -> RangeSet:
        """Return the seqs that its parts have in a group, by the group's id."""
        return self._seqs.get(group) or RangeSet()

    def commit(self, *, durability: Durability = "ring", timeout: float | None = None) -> int:
        """Make all parts visible; return the LSN of the commit, 0 if there are no parts.

        On return the transaction is as durable as asked for, as a whole.

        Raises:
            RevertedError: A revert came between; nothing of it is visible.
            InvalidArgument: It is over already, or belongs to another process.
            Timeout: Committed, but not as durable as asked for by then.
            RingFull, DiskFull, SyncFailed, NotRunning, Closed: It stays open.
        """
        self._require_open()
        require_durability(durability)
        left = Countdown(timeout)
        if not self._count:
            self._end("committed")
            return 0
        ring = self._log._ring
        payload = encode_commit(Commit(self.id, self._last, self._count))
        try:
            lsn = self.lsn = ring.append(payload, left(), 0, TXN_COMMIT, self.id)
        except RevertedError:
            self._end("reverted")
            raise
        self._end("committed")
        if durability != "ring":
            ring.wait(LEVELS[durability], lsn, left())
        return lsn

    def abort(self) -> None:
        """Discard all parts; idempotent after an abort.

        Raises:
            InvalidArgument: It is committed already, or belongs to another process.
        """
        if self._over == "aborted":
            return
        self._require_open()
        if self._count:
            # Not waited for: without this frame the parts are as invisible.
            self._log._ring.offer(encode_txn_abort(self.id), None, 0, TXN_ABORT)
        self._end("aborted")

    def _end(self, how: str) -> None:
        self._over = how
        if self._entry is not None:
            transactions.release(self._client, self._entry)
            self._entry = None

    def __del__(self) -> None:
        # Nobody can commit it any more. A forked child's copy says nothing about the parent's.
        if getattr(self, "_entry", None) is not None and os.getpid() == self._pid:
            self._end("dropped")

    def _require_open(self) -> None:
        if self._over:
            raise InvalidArgument(f"this transaction is {self._over}; begin another one")
        if os.getpid() != self._pid:
            raise InvalidArgument("this transaction belongs to another process, its parent")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._over:
            return
        if error is None:
            self.commit()
        else:
            self.abort()
