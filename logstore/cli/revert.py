"""`logstore revert`: hide everything from a position on."""

from __future__ import annotations

from collections import Counter

import click

from logstore import Log
from logstore.cli.arguments import json_option, log_argument, parsed_lsn, yes_option
from logstore.cli.attaching import attach
from logstore.cli.output import count_text, plural, print_columns, print_json


@click.command()
@log_argument
@click.argument("lsn", type=parsed_lsn, metavar="LSN")
@click.option("--dry-run", is_flag=True, help="Count what would be hidden; change nothing.")
@yes_option
@json_option
def command(log: str, lsn: int, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Hide everything from an LSN on.

    Every reader stops seeing the records at and after LSN, at once and after any crash.
    Transactions that are open are aborted. What is appended afterwards is kept; `logstore read
    --reverted` still shows what was hidden, until it is compacted away.

    \b
    Examples:
      logstore revert orders 81920 --dry-run
      logstore revert orders 81920 --yes
    """
    if dry_run == yes:
        raise click.UsageError("say --dry-run to see what would be hidden, or --yes to hide it")
    with attach(log, read_only=dry_run) as opened:
        if dry_run:
            _print_hidden(visible_from(opened, lsn), lsn, as_json)
            return
        reverted_lsn = opened.revert(lsn)
    if as_json:
        print_json({"lsn": lsn, "revert_lsn": reverted_lsn})
    click.echo(f"reverted to LSN {lsn}; what is appended from now on is kept", err=True)


def visible_from(log: Log, lsn: int) -> Counter[str]:
    """Count the records of each group that a revert to `lsn` would hide."""
    return Counter(record.group for record in log.read(lsn, durability="ring", copy=False))


def _print_hidden(counts: Counter[str], lsn: int, as_json: bool) -> None:
    total = counts.total()
    if as_json:
        print_json({"lsn": lsn, "records": total, "groups": dict(counts)})
        return
    rows = [("group", "records"), *((name, count_text(n)) for name, n in counts.most_common())]
    print_columns(rows, right=(1,))
    click.echo(f"a revert to LSN {lsn} would hide {plural(total, 'record')}", err=True)
