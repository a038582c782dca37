"""One process's hold on a running log: attaching, detaching, surviving fork and pickle."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, cast

from logstore import service
from logstore.errors import Closed, ReadOnly
from logstore.reading import LogReader
from logstore.ring._ring import Ring
from logstore.ring.client import Client

if TYPE_CHECKING:
    from logstore.aio import AsyncLog
    from logstore.cursor import Cursor

_CLOSED: Final = "this log object is closed; open or attach again"


class _AttachOnUse:
    """Stand in for the ring in a forked child: the first use attaches the child anew."""

    def __init__(self, log: Handle) -> None:
        self._log = log

    def __getattr__(self, name: str) -> object:
        attribute: object = getattr(self._log._attach_again(), name)
        return attribute


class _ReadOnlyRing:
    """Stand in for the ring's writing calls in a read-only handle."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def __getattr__(self, name: str) -> object:
        if name in ("append", "append_many", "reserve"):
            raise ReadOnly("this log was attached for reading; attach without read_only to append")
        attribute: object = getattr(self._ring, name)
        return attribute


class Handle:
    """What a `Log` is before it appends and reads; see there."""

    def __init__(self, client: Client) -> None:
        self.name = client.identity.name
        self.path = client.identity.directory
        self.read_only = client.read_only
        self._client_now: Client | None = client
        self._ring = self._face(client)
        self._reader: LogReader | None = None
        self._aio: AsyncLog | None = None
        self._group_numbers: dict[str, int] = {"default": 0}  # they never change
        self._cursors: weakref.WeakSet[Cursor] = weakref.WeakSet()
        self._closed = False
        _handles.add(self)

    @property
    def _reading(self) -> LogReader:
        self._require_open()
        if self._reader is None:
            self._reader = LogReader(self._client)
        return self._reader

    # Attachment.

    @property
    def _client(self) -> Client:
        if self._client_now is None:
            self._attach_again()
        return cast(Client, self._client_now)

    def _attach_again(self) -> Ring:
        self._require_open()
        client = service.attach_name(self.name, read_only=self.read_only, path=self.path)
        self._client_now, self._ring = client, self._face(client)
        return self._ring

    def _face(self, client: Client) -> Ring:
        this = weakref.ref(self)

        def on_reverts(lsn: int) -> None:
            handle = this()
            if handle is not None:
                handle._reading.require_kept(lsn)

        client.on_reverts = on_reverts
        return cast(Ring, _ReadOnlyRing(client.ring)) if client.read_only else client.ring

    def _after_fork(self) -> None:
        """Forget the parent's client and cursors: their locks must tell of the parent alone."""
        for cursor in list(self._cursors):
            cursor.close()
        if self._client_now is not None:
            self._client_now.forsake()
        self._client_now = None
        self._reader = self._aio = None
        self._ring = cast(Ring, _AttachOnUse(self))

    def close(self) -> None:
        """Detach; idempotent.

        Makes nothing durable: what is in the ring stays there and reaches the disk by itself. A
        call that blocks in another thread ends with `Closed`. Cursors of this object are closed,
        and so saved, before.
        """
        if not self._closed:
            for cursor in list(self._cursors):
                cursor.close()
            self._closed = True
            _handles.discard(self)
            if self._aio is not None:
                self._aio.shut_down()
            if self._client_now is not None:
                self._client_now.close()
            if self._reader is not None:
                self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self.close()

    def __repr__(self) -> str:
        closed = ", closed" if self._closed else ""
        return f"<logstore.{type(self).__name__} {self.name!r} at {str(self.path)!r}{closed}>"

    def __reduce__(self) -> tuple[object, ...]:
        return _attach_pickled, (type(self), self.name, str(self.path), self.read_only)

    def _require_open(self) -> None:
        if self._closed:
            raise Closed(_CLOSED)


_handles: weakref.WeakSet[Handle] = weakref.WeakSet()


def _attach_pickled(kind: type[Handle], name: str, path: str, read_only: bool) -> Handle:
    return kind(service.attach_name(name, read_only=read_only, path=Path(path)))


def _after_fork() -> None:
    for handle in list(_handles):
        handle._after_fork()


os.register_at_fork(after_in_child=_after_fork)
