"""`logstore replay`: print the records of a group that are still needed."""

from __future__ import annotations

import sys

import click

from logstore.cli.arguments import log_argument
from logstore.cli.attaching import open_to_read
from logstore.cli.output import plural
from logstore.cli.progress import bytes_bar
from logstore.cli.records import FORMATS, format_option


@click.command()
@log_argument
@click.option(
    "--group", metavar="NAME", default="default", show_default=True, help="Records of this group."
)
@format_option
def command(log: str, group: str, form: str) -> None:
    """Print the records of a group that are still needed.

    That is what an engine applies when it starts: committed, not reverted, not checkpointed;
    transactions whole, where their commits are. Says on standard error how many there are; a bar
    on the terminal shows how far it is if the output goes elsewhere. Without a running service, LOG
    must be a directory.

    \b
    Examples:
      logstore replay orders --group invoices | wc -l
      logstore replay data/orders --format json > needed.json
    """
    encode = FORMATS[form]
    write = sys.stdout.buffer.write
    with open_to_read(log) as opened, bytes_bar("replay") as tell:
        count = opened.replay(group, lambda record: write(encode(record)), progress=tell)
    click.echo(f"{plural(count, 'record')} of group {group!r} still needed", err=True)
