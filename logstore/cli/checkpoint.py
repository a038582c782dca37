"""`logstore checkpoint`: say which records of a group nobody needs any more."""

from __future__ import annotations

import re
from typing import Final

import click

from logstore.cli.arguments import json_option, log_argument
from logstore.cli.attaching import attach
from logstore.cli.output import print_json
from logstore.errors import NotFound

_RANGE: Final = re.compile(r"(\d{1,20})-(\d{1,20})", re.ASCII)


def parsed_range(text: str) -> tuple[int, int]:
    """Read a closed range of seqs such as 12-40.

    Raises:
        click.BadParameter: It is none.
    """
    match = _RANGE.fullmatch(text)
    first, last = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= first <= last:
        raise click.BadParameter(f"{text!r} is not a range A-B with 1 <= A <= B")
    return first, last


@click.command()
@log_argument
@click.argument("group", metavar="GROUP")
@click.option("--up-to", type=click.IntRange(min=1), metavar="SEQ", help="All up to this one.")
@click.option(
    "--range",
    "ranges",
    type=parsed_range,
    multiple=True,
    metavar="A-B",
    help="From seq A to seq B, both included; may be given again.",
)
@json_option
def command(
    log: str, group: str, up_to: int | None, ranges: tuple[tuple[int, int], ...], as_json: bool
) -> None:
    """Say which records of a group nobody needs any more.

    They stay readable until compaction drops their segments. What was said before stays said.
    Prints the LSN of the checkpoint once it is on disk.

    \b
    Examples:
      logstore checkpoint orders invoices --up-to 5000
      logstore checkpoint orders default --range 1-40 --range 52-60
    """
    if up_to is None and not ranges:
        raise click.UsageError("say which records: --up-to SEQ, or --range A-B")
    with attach(log) as opened:
        # Asked for first: naming a group that is not there would make it.
        names = opened.groups()
        if group not in names:
            raise NotFound(f"there is no group {group!r}; there are {', '.join(names)}")
        lsn = opened.group(group).checkpoint(up_to=up_to, ranges=ranges)
        opened.wait(lsn)
    if as_json:
        print_json({"group": group, "lsn": lsn})
    else:
        click.echo(lsn)
