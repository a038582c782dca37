"""What a log offers to consumers: durable cursors are opened, listed, moved, deleted."""

from __future__ import annotations

from logstore import cursors
from logstore.cursor import Cursor
from logstore.cursors import CursorStatus
from logstore.errors import InvalidArgument, NotFound, ReadOnly
from logstore.handle import Handle
from logstore.lsn import Durability, require_durability
from logstore.places import Start
from logstore.ring._ring import LAYOUT
from logstore.segments.cursors import require_cursor_name
from logstore.writing import LEVELS


class Consuming(Handle):
    """The cursors of the log behind a handle."""

    def cursor(
        self,
        name: str,
        *,
        group: str | None = None,
        start: Start = "oldest",
        durability: Durability = "synced",
        save_interval_s: float = 0.1,
    ) -> Cursor:
        """Open the durable cursor of this name, and hold it; make it if it is not there.

        A new cursor is on disk on return, and from then on keeps what it has not read from being
        dropped. Blocks on the disk then, and while a compaction is under way.

        Args:
            name: What the consumer is called: letters, digits, '.', '_' and '-'.
            group: Only this group's records. A cursor keeps the group with which it was made: with
                None one that is there reads what it always did, and a new one reads all groups.
            start: Where a new cursor begins: "oldest", "newest" (only what is appended from now
                on), or a record's LSN. One that is there goes on where it was.
            durability: Deliver a record once it is this durable.
            save_interval_s: The least time between two savings on the way; see `Cursor`.

        Raises:
            InUse: It is held, by the process that `pid` tells.
            InvalidArgument: The name is not allowed, or the cursor reads another group.
            NotFound: There is no such group, or `start` is below the oldest record.
            InvalidLSN: No record begins at `start`.
            Corruption: The cursor's file is damaged; delete it or restore it.
            ReadOnly: The log was attached for reading.
            DiskFull, PermissionDenied, SyncFailed, NotRunning: A new one could not be saved.
        """
        self._require_cursors()
        level = LEVELS[require_durability(durability)]
        if start not in ("oldest", "newest") and not isinstance(start, int):
            raise InvalidArgument(f"start must be 'oldest', 'newest' or an LSN, not {start!r}")
        if not isinstance(save_interval_s, (int, float)) or not save_interval_s >= 0:
            raise InvalidArgument(
                f"save_interval_s must be seconds from 0, not {save_interval_s!r}"
            )
        return Cursor(self, require_cursor_name(name), group, start, level, save_interval_s)

    def cursors(self) -> list[CursorStatus]:
        """Return what is known of all cursors, sorted by name; reads their files.

        A position is the saved one, which the one in its holder's memory may be ahead of.
        """
        raw = self._reading.raw
        return cursors.listing(raw.directory, self._ring.load(LAYOUT["synced"]))

    def move_cursor(self, name: str, lsn: int) -> None:
        """Make a cursor that nobody holds go on elsewhere, forward or back; durable on return.

        Blocks on the disk, and while a compaction is under way.

        Raises:
            InUse: It is held; the error's `pid` says by whom.
            NotFound: There is no such cursor, or the LSN is below the oldest record.
            InvalidLSN: No record begins there.
            Corruption, ReadOnly, DiskFull, PermissionDenied, SyncFailed: As `cursor`.
        """
        self._require_cursors()
        if not cursors.exists(self._reading.raw.directory, require_cursor_name(name)):
            raise NotFound(f"there is no cursor {name!r}")
        with self.cursor(name) as held:
            held.move(lsn)

    def delete_cursor(self, name: str) -> None:
        """Delete a cursor that nobody holds; durable on return. Nothing is kept for it any more.

        Raises:
            InUse: It is held; the error's `pid` says by whom.
            NotFound: There is no such cursor.
            ReadOnly, PermissionDenied, SyncFailed: It was not deleted.
        """
        self._require_cursors()
        cursors.delete(self._reading.raw.directory, require_cursor_name(name))

    def _require_cursors(self) -> None:
        self._require_open()
        if self.read_only:
            raise ReadOnly("this log was attached for reading; attach without read_only")
