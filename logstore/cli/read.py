"""`logstore read`: print records, from a running service or from the files alone."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TypedDict

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
from logstore.cli.records import FORMATS, format_option
from logstore.errors import NotRunning
from logstore.lsn import Durability


class _Choice(TypedDict):
    """What is read the same way from a service and from the files."""

    durability: Durability
    group: str | None
    uncommitted: bool
    reverted: bool


@click.command()
@log_argument
@lsn_option("--start", "First position; the log's start if not given.")
@lsn_option("--end", "Stop before this position.")
@click.option(
    "--since",
    type=parsed_time,
    metavar="TIME",
    help="Begin at this ISO time, local if no zone is given; a little that is older may come too.",
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
    printed; --since and --reverse need a running service.

    \b
    Examples:
      logstore read orders
      logstore read orders --since 2026-01-31T18:00
      logstore read orders --reverse | head
      logstore read data/orders --start 4096 --format json
    """
    if since is not None and start is not None:
        raise click.UsageError("--since and --start exclude each other")
    encode = FORMATS[form]
    write = sys.stdout.buffer.write
    with open_to_read(log) as opened:
        what = _Choice(
            durability=durability, group=group, uncommitted=uncommitted, reverted=reverted
        )
        if not isinstance(opened, FilesAlone):
            records = opened.read(start, end, since=since, reverse=reverse, **what)
        elif since is None and not reverse:
            records = opened.read(start, end, **what)
        else:
            raise NotRunning(
                "--since and --reverse need a running service; "
                f"`logstore serve {opened.path}` starts one"
            )
        for record in records:
            write(encode(record))
