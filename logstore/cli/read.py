"""`logstore read`: print records, from a running service or from the files alone."""

from __future__ import annotations

import sys

import click

from logstore.cli.arguments import durability_option, group_option, log_argument, lsn_option
from logstore.cli.attaching import open_to_read
from logstore.cli.records import FORMATS, format_option
from logstore.lsn import Durability


@click.command()
@log_argument
@lsn_option("--start", "First position; the log's start if not given.")
@lsn_option("--end", "Stop before this position.")
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
    durability: Durability,
    group: str | None,
    uncommitted: bool,
    reverted: bool,
    form: str,
) -> None:
    """Print records from the log's start or from an LSN on.

    Prints what is there now and ends; a transaction's records together, where its commit is.
    Without a running service, LOG must be a directory, and everything that its files hold is
    printed.

    \b
    Examples:
      logstore read orders
      logstore read data/orders --start 4096 --format json
    """
    encode = FORMATS[form]
    write = sys.stdout.buffer.write
    with open_to_read(log) as opened:
        records = opened.read(
            start,
            end,
            durability=durability,
            group=group,
            uncommitted=uncommitted,
            reverted=reverted,
        )
        for record in records:
            write(encode(record))
