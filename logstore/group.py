"""A named group: a sub-log with its own dense numbering, in the one order of the whole log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logstore.ring._ring import Ring
from logstore.writing import Writer

if TYPE_CHECKING:
    from logstore.log import Log


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

    def __repr__(self) -> str:
        return f"<logstore.Group {self.name!r} of {self.log!r}>"
