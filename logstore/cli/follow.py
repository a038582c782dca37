"""`logstore follow`: print records as they come."""

from __future__ import annotations

import sys

import click

from logstore.cli.arguments import durability_option, group_option, log_argument, lsn_option
from logstore.cli.attaching import attach
from logstore.cli.records import FORMATS, format_option
from logstore.lsn import Durability, Watermarks


@click.command()
@log_argument
@lsn_option("--start", "First position; only new records if not given.")
@click.option("--from-start", is_flag=True, help="Print everything first that the log holds.")
@durability_option("synced", "Print a record when it has reached this level.")
@group_option
@format_option
def command(
    log: str,
    start: int | None,
    from_start: bool,
    durability: Durability,
    group: str | None,
    form: str,
) -> None:
    """Print records as they become durable, like tail -f.

    Ends with Ctrl-C, or with exit code 6 when the service ends.

    \b
    Examples:
      logstore follow orders
      logstore follow orders --group invoices
      logstore follow orders --from-start --format json
    """
    if from_start and start is not None:
        raise click.UsageError("--start and --from-start exclude each other")
    encode = FORMATS[form]
    output = sys.stdout.buffer
    with attach(log, read_only=True) as opened:
        if start is None:
            watermarks = opened.watermarks()
            start = watermarks.start if from_start else position(watermarks, durability)
        for record in opened.follow(start, durability=durability, group=group):
            output.write(encode(record))
            # The next record may take its time; this one shall be seen now.
            output.flush()


def position(watermarks: Watermarks, durability: Durability) -> int:
    """Return how far the log has come at a durability level."""
    match durability:
        case "ring":
            return watermarks.published
        case "written":
            return watermarks.written
        case "synced":
            return watermarks.synced
