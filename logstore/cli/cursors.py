"""`logstore cursors`: durable cursors listed, moved, deleted."""

from __future__ import annotations

from dataclasses import asdict

import click

from logstore.cli.arguments import json_option, log_argument, parsed_lsn, yes_option
from logstore.cli.attaching import attach, open_to_read
from logstore.cli.output import print_json
from logstore.cli.status_text import cursor_lines


@click.command()
@log_argument
@click.option(
    "--move",
    type=(str, parsed_lsn),
    metavar="NAME LSN",
    help="Let this cursor go on at LSN, forward or back.",
)
@click.option("--delete", metavar="NAME", help="Delete this cursor; needs --yes.")
@yes_option
@json_option
def command(
    log: str, move: tuple[str, int] | None, delete: str | None, yes: bool, as_json: bool
) -> None:
    """List durable cursors; move or delete one.

    Shows where each consumer would resume after a crash, how many bytes of log lie behind that
    place, when it was saved, and which process holds it. Listing works on the files alone, too.
    A cursor that a process holds is neither moved nor deleted: exit code 5.

    \b
    Examples:
      logstore cursors orders
      logstore cursors orders --move billing 4096
      logstore cursors orders --delete billing --yes
    """
    if move is not None and delete is not None:
        raise click.UsageError("--move and --delete exclude each other")
    if delete is not None and not yes:
        raise click.UsageError(f"--delete forgets where {delete} is; say --yes to do it")
    if move is not None:
        _move(log, *move)
    elif delete is not None:
        with attach(log) as opened:
            opened.delete_cursor(delete)
        click.echo(f"deleted the cursor {delete}", err=True)
    else:
        _list(log, as_json)


def _move(log: str, name: str, lsn: int) -> None:
    with attach(log) as opened:
        opened.move_cursor(name, lsn)
    click.echo(f"moved the cursor {name} to LSN {lsn}", err=True)


def _list(log: str, as_json: bool) -> None:
    with open_to_read(log) as opened:
        found = opened.cursors()
    if as_json:
        for cursor in found:
            print_json(asdict(cursor))
    else:
        for line in cursor_lines(found):
            click.echo(line)
