"""`logstore status`: what the service and its clients do, or what the files say without one."""

from __future__ import annotations

from dataclasses import asdict

import click

from logstore import Holder, Log
from logstore.cli import exit_codes
from logstore.cli.application import complain
from logstore.cli.arguments import json_option, log_argument
from logstore.cli.attaching import open_to_read
from logstore.cli.files_alone import FilesAlone
from logstore.cli.output import print_json
from logstore.cli.status_text import report_lines
from logstore.errors import LogstoreError


@click.command()
@log_argument
@json_option
def command(log: str, as_json: bool) -> int:
    """Show what the service and its clients do.

    Reads counters that are kept anyway, and what the segments say of themselves: it disturbs
    nobody. Under `pins:` is what keeps the oldest segments from being dropped. Without a running
    service it tells what the files say, and the exit code is 6.

    \b
    Examples:
      logstore status orders
      logstore status data/orders --json
    """
    with open_to_read(log) as opened:
        if isinstance(opened, FilesAlone):
            if as_json:
                print_json({"running": False, **opened.summary()})
            else:
                for line in opened.summary_lines():
                    click.echo(line)
            complain(f"no service runs for {log}; `logstore serve {opened.path}` starts one")
            return exit_codes.NOT_RUNNING
        status = opened.status()
        pins = _pins(opened)
        if as_json:
            told = None if pins is None else [asdict(pin) for pin in pins]
            print_json({"running": status.served, **status.as_dict(), "pins": told})
        else:
            for line in report_lines(status, pins or []):
                click.echo(line)
        if not status.served:
            complain(
                "the service was killed; nothing appended is lost, and "
                f"`logstore serve {status.path}` goes on with it"
            )
            return exit_codes.NOT_RUNNING
    return exit_codes.OK


def _pins(log: Log) -> list[Holder] | None:
    """Return what keeps segments; None, and a word about it, if the files do not tell.

    All else that the status says is still worth having then.
    """
    try:
        return log.pins()
    except LogstoreError as error:
        complain(f"what keeps the segments is not known: {error}")
        return None
