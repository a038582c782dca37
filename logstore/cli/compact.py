"""`logstore compact`: drop the segments that nobody needs any more."""

from __future__ import annotations

import click

from logstore.cli.arguments import json_option, log_argument, parsed_seconds
from logstore.cli.attaching import attach
from logstore.cli.output import plural, print_json, size_text


@click.command()
@log_argument
@click.option(
    "--timeout",
    type=parsed_seconds,
    metavar="TIME",
    help="Wait so long, then exit with 6; it is done all the same. For ever if not given.",
)
@json_option
def command(log: str, timeout: float | None, as_json: bool) -> None:
    """Drop the segments that nobody needs any more.

    The service does so by itself from time to time; this asks for it now, and waits. `logstore
    status` tells what keeps the segments that are left.

    \b
    Examples:
      logstore compact orders
      logstore compact orders --timeout 10s --json
    """
    with attach(log) as opened:
        given_back = opened.compact(timeout=timeout)
        left = opened.status().segments
    if as_json:
        print_json({"bytes": given_back, "segments": left})
    else:
        click.echo(f"gave back {size_text(given_back)}; {plural(left, 'segment')} left")
