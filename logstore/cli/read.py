"""`logstore read`: print records, from a running service or from the files alone."""

from __future__ import annotations

import sys
from datetime import datetime

import click

from logstore.cli.arguments import (
    durability_option,
    group_option,
    log_argument,
    lsn_option,
    parsed_time,
)
from logstore.cli.attaching import open_to_read
from logstore.cli.files_alone import FilesAlone
from logstore.cli.progress import bytes_bar, told
from logstore.cli.records import FORMATS, format_option
from logstore.log import Log
from logstore.lsn import Durability


@click.command()
@log_argument
@lsn_option("--start", "First position; the log's start if not given.")
@lsn_option("--end", "Stop before this position.")
@click.option(
    "--since",
    type=parsed_time,
    metavar="TIME",
    help="Begin at this ISO time, local if no zone is given, or so long ago: 2h. A little that is "
    "older may come too.",
)
@click.option("--reverse", is_flag=True, help="The newest first.")
@durability_option("synced", "Print only what has reached this level.")
@group_option
@click.option(
    "--uncommitted",
    is_flag=True,
    help="Parts of transactions where they lie, be they committed, open or aborted.",
)
@click.option("--reverted", is_flag=True, help="What was reverted as well.")
@format_option
def command(
    log: str,
    start: int | None,
    end: int | None,
    since: datetime | None,
    reverse: bool,
    durability: Durability,
    group: str | None,
    uncommitted: bool,
    reverted: bool,
    form: str,
) -> None:
    """Print records from the log's start or from an LSN on.

    Prints what is there now and ends; a transaction's records together, where its commit is.
    Without a running service, LOG must be a directory, and everything that its files hold is
    printed. A bar on the terminal shows how far it is if the output goes elsewhere.

    \b
    Examples:
      logstore read orders
      logstore read orders --since 2026-01-31T18:00
      logstore read orders --since 10min --group invoices
      logstore read orders --reverse | head
      logstore read data/orders --start 4096 --format json
    """
    if since is not None and start is not None:
        raise click.UsageError("--since and --start exclude each other")
    encode = FORMATS[form]
    write = sys.stdout.buffer.write
    with open_to_read(log) as opened, bytes_bar("read") as tell:
        if since is not None:
            start = opened.lsn_at(since)
        records = opened.read(
            start,
            end,
            durability=durability,
            group=group,
            reverse=reverse,
            uncommitted=uncommitted,
            reverted=reverted,
        )
        if tell is not None:
            first, last = _reach(opened, start, end)
            records = told(records, *((last, first) if reverse else (first, last)), tell)
        for record in records:
            write(encode(record))


def _reach(opened: Log | FilesAlone, start: int | None, end: int | None) -> tuple[int, int]:
    """Return from where to where is read, for the bar."""
    if isinstance(opened, FilesAlone):
        first, last = opened.start_lsn, opened.end_lsn
    else:
        marks = opened.watermarks()
        first, last = marks.start, marks.synced
    return first if start is None else start, last if end is None else min(end, last)
