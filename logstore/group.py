"""A named group: a sub-log with its own dense numbering, in the one order of the whole log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from logstore.cursor import Cursor
from logstore.frames import Record
from logstore.lsn import Durability
from logstore.places import Start
from logstore.ring._ring import Ring
from logstore.ring.layout import group_offset
from logstore.writing import Writer

if TYPE_CHECKING:
    from logstore.log import Log


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """Say how far a group is.

    Attributes:
        name: Its name.
        id: Its number in the log's frames.
        appended: The newest seq given out; 0 if there is none.
        checkpointed: Records up to this seq are not needed any more; later ones may be so, too.
        oldest_needed_lsn: Where its oldest record begins that is still needed; 0 if not known.
    """

    name: str
    id: int
    appended: int
    checkpointed: int
    oldest_needed_lsn: int


class Group(Writer):
    """One group of a log; made by `Log.group`, and as shareable as the log is.

    Attributes:
        name: Its name.
        id: Its number in the log's frames.
        log: The log.
    """

    def __init__(self, log: Log, name: str, number: int) -> None:
        self.log = log
        self.name = name
        self.id = self._group_id = number

    @property
    def _ring(self) -> Ring:  # type: ignore[override]
        # Always the log's: a forked child's first use attaches the log anew.
        return self.log._ring

    def follow(
        self,
        start: int | None = None,
        *,
        durability: Durability = "synced",
        timeout: float | None = None,
    ) -> Iterator[Record]:
        """Return the group's records as they come, for ever; otherwise as `Log.follow`."""
        return self.log.follow(start, durability=durability, timeout=timeout, group=self.name)

    def cursor(
        self,
        name: str,
        *,
        start: Start = "oldest",
        durability: Durability = "synced",
        save_interval_s: float = 0.1,
    ) -> Cursor:
        """Open the durable cursor of this name on the group; otherwise as `Log.cursor`."""
        return self.log.cursor(
            name,
            group=self.name,
            start=start,
            durability=durability,
            save_interval_s=save_interval_s,
        )

    def status(self) -> GroupStatus:
        """Return how far the group is; blocks nobody."""
        load = self._ring.load
        return GroupStatus(
            name=self.name,
            id=self.id,
            checkpointed=load(group_offset(self.id, "checkpointed_seq")),
            oldest_needed_lsn=load(group_offset(self.id, "oldest_needed_lsn")),
            appended=load(group_offset(self.id, "seq")),
        )

    def __repr__(self) -> str:
        return f"<logstore.Group {self.name!r} of {self.log!r}>"
