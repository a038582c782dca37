"""`logstore repair`: bring a damaged log to where it can be opened again."""

from __future__ import annotations

from pathlib import Path

import click

from logstore.cli.arguments import json_option, yes_option
from logstore.cli.output import count_text, plural, print_json
from logstore.options import RECOVERIES
from logstore.repairing import RepairReport, repair


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--recovery",
    type=click.Choice(RECOVERIES[1:]),
    default="salvage",
    show_default=True,
    help="salvage: keep every record that is sound; tail: cut the log at the first damage.",
)
@yes_option
@json_option
def command(directory: Path, recovery: str, yes: bool, as_json: bool) -> int:
    """Bring a damaged log to where it can be opened again.

    Without --yes this only tells what is wrong, what would be lost and what would be kept. No
    service may run for DIRECTORY. Nothing is deleted: what is taken out of the log is copied to
    DIRECTORY/quarantine before. LSNs and seqs that are lost are never used again; readers pass over
    the holes, and `logstore verify` names them from then on.

    \b
    Examples:
      logstore repair data/orders
      logstore repair data/orders --yes
      logstore repair data/orders --recovery tail --yes --json
    """
    chosen = next(one for one in RECOVERIES if one == recovery)
    report = repair(directory, recovery=chosen, dry_run=not yes)
    if as_json:
        print_json({"type": "repair", **report.as_dict()})
    else:
        _print(report)
    return 0


def _print(report: RepairReport) -> None:
    for problem in report.problems:
        problem.path = None
        click.echo(f"damaged: {problem}")
    for first, last in report.holes:
        click.echo(f"lost: LSN {first} to {last}")
    for name, count in report.lost_records.items():
        click.echo(f"lost: at most {count_text(count)} records of {name}")
    for name in report.quarantined:
        click.echo(f"{'to quarantine' if report.dry_run else 'kept aside'}: {name}")
    if not report.problems:
        click.echo(f"{report.path}: nothing to repair")
        return
    found = plural(len(report.problems), "damaged place")
    if report.dry_run:
        click.echo(f"{report.path}: {found}; nothing was changed, say --yes to repair", err=True)
    else:
        click.echo(f"{report.path}: {found}, repaired", err=True)
