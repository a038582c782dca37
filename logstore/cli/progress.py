"""A bar for long work: on standard error, and only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from logstore.frames import Record

Progress = Callable[[int], object]
"""Told how much more has been done."""
BytesDone: TypeAlias = Callable[[int, int], object]
"""Told how many bytes are done, and how many there are in all."""

_EVERY: Final = 1024  # records from one look at the bar to the next


@contextmanager
def progress_bar(label: str, total: int) -> Iterator[Progress]:
    """Draw a bar while the block runs; without a terminal nothing is drawn."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    # Imported late: only who draws pays for it.
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda count: bar.advance(task, count)


@contextmanager
def bytes_bar(label: str) -> Iterator[BytesDone | None]:
    """Draw a bar, in bytes, while the block prints what it reads; None if nothing is drawn.

    Nothing is drawn without a terminal, nor if what is printed goes to the terminal itself.
    """
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True))
    console = Console(stderr=True)
    with Bar(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def told(records: Iterable[Record], first: int, last: int, tell: BytesDone) -> Iterator[Record]:
    """Give the records on, and tell now and then how far they have come from one LSN to another.

    Args:
        records: In the order of the log, or in reverse.
        first: Where they begin; above `last` if they go back.
        last: Where they end.
        tell: Told.
    """
    done, total = 0, abs(last - first)
    for count, record in enumerate(records):
        if count % _EVERY == 0:
            done = max(done, min(abs(record.lsn - first), total))
            tell(done, total)
        yield record
    tell(total, total)
