"""A bar for long work: on standard error, and only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int], object]
"""Told how much more has been done."""


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
