"""`logstore groups`: which groups a log has."""

from __future__ import annotations

from dataclasses import asdict

import click

import logstore
from logstore.cli.arguments import json_option, log_argument
from logstore.cli.attaching import open_to_read
from logstore.cli.output import count_text, print_columns, print_json
from logstore.group import GroupStatus


@click.command()
@log_argument
@json_option
def command(log: str, as_json: bool) -> None:
    """List the groups and how far each is.

    A group's records are numbered 1, 2, 3 ...; shown is the newest number given out, and up to
    which number none is needed any more. Works on the files alone, too.

    \b
    Examples:
      logstore groups orders
      logstore groups data/orders --json
    """
    with open_to_read(log) as opened:
        if isinstance(opened, logstore.Log):
            statuses = [opened.group(name).status() for name in opened.groups()]
        else:
            statuses = opened.group_statuses()
    if as_json:
        for status in statuses:
            print_json(asdict(status))
    else:
        _print_table(statuses)


def _print_table(statuses: list[GroupStatus]) -> None:
    rows = [("group", "id", "appended", "checkpointed")]
    rows += [
        (one.name, str(one.id), count_text(one.appended), count_text(one.checkpointed))
        for one in statuses
    ]
    print_columns(rows, right=(1, 2, 3))
