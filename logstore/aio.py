"""Appends and waits for asyncio, with one thread for all of them."""

from __future__ import annotations

import asyncio
import heapq
import threading
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

from logstore.errors import Closed, LogstoreError, RingFull
from logstore.frames import Record
from logstore.lsn import Durability, require_durability
from logstore.ring.layout import Level

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from logstore.log import Log

_SLICE_S = 0.05
_FULL_PAUSE_S = 0.001


class _Watcher:
    """One thread that waits for one watermark and settles the futures that it passes."""

    def __init__(self, log: Log, level: Level) -> None:
        self._log = log
        self._level = level
        self._heap: list[tuple[int, int, asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._count = 0
        self._changed = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(
            target=self._run, name=f"logstore-{level.name.lower()}", daemon=True
        )
        self._thread.start()

    def add(self, lsn: int) -> asyncio.Future[None]:
        """Return a future that is done once the watermark exceeds `lsn`."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        with self._changed:
            self._count += 1
            heapq.heappush(self._heap, (lsn, self._count, loop, future))
            self._changed.notify()
        return future

    def end(self) -> None:
        """Fail what is pending and end the thread."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join()
        self._settle(None, Closed("this log object is closed; open or attach again"))

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._heap and not self._ending:
                    self._changed.wait()
                if self._ending:
                    return
                lsn = self._heap[0][0]
            try:
                # A slice, so that a smaller LSN added meanwhile is seen soon; larger ones can wait.
                if self._log._ring.poll(self._level, lsn, _SLICE_S):
                    self._settle(self._log._watermark(self._level), None)
                else:
                    self._log._client.look_around()
            except LogstoreError as error:
                self._settle(None, error)

    def _settle(self, watermark: int | None, error: LogstoreError | None) -> None:
        """Settle futures below the watermark, or all of them with an error."""
        done = []
        with self._changed:
            while self._heap and (watermark is None or self._heap[0][0] < watermark):
                done.append(heapq.heappop(self._heap))
        by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
        for _, _, loop, future in done:
            by_loop.setdefault(loop, []).append(future)
        for loop, futures in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_finish, futures, error)


def _finish(futures: list[asyncio.Future[None]], error: LogstoreError | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


class AsyncLog:
    """The log for asyncio: `log.aio`. Any loop of any thread may use it.

    Waiting never blocks the loop. Cancelling a wait takes nothing back: the record stands.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._watchers: dict[Level, _Watcher] = {}

    def _watcher(self, level: Level) -> _Watcher:
        if level not in self._watchers:
            self._watchers[level] = _Watcher(self._log, level)
        return self._watchers[level]

    async def append(self, payload: ReadableBuffer, *, durability: Durability = "ring") -> int:
        """Append one record and return its LSN; as `Log.append`.

        Use `asyncio.timeout` for a time-out: if it strikes while the ring is full nothing was
        appended, otherwise the record stands.
        """
        level = require_durability(durability)
        while True:
            try:
                lsn = self._log.append(payload, timeout=0)
                break
            except RingFull:
                await asyncio.sleep(_FULL_PAUSE_S)
        await self.wait(lsn, level)
        return lsn

    async def append_many(
        self, payloads: Iterable[ReadableBuffer], *, durability: Durability = "ring"
    ) -> list[int]:
        """Append one batch, all or nothing, and return the LSNs; as `Log.append_many`."""
        level = require_durability(durability)
        batch = list(payloads)
        while True:
            try:
                lsns = self._log.append_many(batch, timeout=0)
                break
            except RingFull:
                await asyncio.sleep(_FULL_PAUSE_S)
        if lsns:
            await self.wait(lsns[-1], level)
        return lsns

    async def wait(self, lsn: int, durability: Durability = "synced") -> None:
        """Wait until the record at `lsn` is as durable as asked for; as `Log.wait`."""
        level = Level[require_durability(durability).upper()]
        self._log._require_appended(lsn)
        if level is not Level.RING and self._log._watermark(level) <= lsn:
            await self._watcher(level).add(lsn)
        self._log._require_kept(lsn)

    async def sync(self) -> int:
        """Wait until everything appended so far is durable; return up to which LSN."""
        head = self._log.watermarks().reserved
        if self._log._watermark(Level.SYNCED) < head:
            await self._watcher(Level.SYNCED).add(head - 8)
        return head

    async def follow(
        self, start: int | None = None, *, durability: Durability = "synced"
    ) -> AsyncIterator[Record]:
        """Iterate over records as they come; as `Log.follow`."""
        level = Level[require_durability(durability).upper()]
        position = self._log.watermarks().reserved if start is None else start
        while True:
            if self._log._watermark(level) <= position:
                await self._watcher(level).add(position)
            limit = self._log._watermark(level)
            for record in self._log.read(position, limit, durability=durability):
                yield record
            position = limit

    def shut_down(self) -> None:
        """End the threads; waits that are pending fail with `Closed`."""
        watchers, self._watchers = self._watchers, {}
        for watcher in watchers.values():
            watcher.end()
