"""`logstore append`: lines or length-prefixed records from files or standard input."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click

import logstore
from logstore.cli.arguments import durability_option, json_option, log_argument
from logstore.cli.input_records import batches_of, line_records, opened_input, prefixed_records
from logstore.cli.output import plural, print_json
from logstore.errors import LogstoreError
from logstore.lsn import Durability
from logstore.writing import Writer


@dataclass(slots=True)
class Tally:
    """What was appended so far."""

    records: int = 0
    byte_count: int = 0
    first_lsn: int | None = None
    last_lsn: int | None = None

    def add(self, lsns: list[int], payloads: list[bytes]) -> None:
        """Count one batch."""
        if self.first_lsn is None:
            self.first_lsn = lsns[0]
        self.last_lsn = lsns[-1]
        self.records += len(payloads)
        self.byte_count += sum(map(len, payloads))


@click.command()
@log_argument
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--length-prefixed", is_flag=True, help="Each record: u32 length (LE), then bytes.")
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Make N records one batch: after a crash all of them are there, or none.",
)
@click.option("--group", metavar="NAME", help="Append to this group; made if it is not there.")
@durability_option("ring", "What all records have reached when the command ends.")
@json_option
def command(
    log: str,
    files: tuple[str, ...],
    length_prefixed: bool,
    batch: int,
    group: str | None,
    durability: Durability,
    as_json: bool,
) -> None:
    """Append lines or length-prefixed records.

    LOG as a path (it has a slash, or is a directory) opens the log there: makes it if it is new,
    and starts a service if none runs, which ends a little after its last client. LOG as a bare
    name attaches to the running log of that name.

    Each line of each FILE becomes a record, without its newline; `-`, or no FILE, is standard
    input. How many were appended and the last position go to standard error, also when the
    command is interrupted or fails on the way.

    \b
    Examples:
      logstore append data/orders lines.txt --durability synced
      tail -f app.log | logstore append orders -
    """
    tally = Tally()
    try:
        with _opened(log) as opened:
            writer = opened if group is None else opened.group(group)
            for name in files or ("-",):
                with opened_input(name) as stream:
                    shown = "<stdin>" if name == "-" else name
                    records = (
                        prefixed_records(stream, shown)
                        if length_prefixed
                        else line_records(stream, shown)
                    )
                    _append(writer, records, batch, shown, tally)
            if tally.last_lsn is not None and durability != "ring":
                opened.wait(tally.last_lsn, durability)
    finally:
        # Also on Ctrl-C and on an error: what was appended stays appended.
        last = "" if tally.last_lsn is None else f", last LSN {tally.last_lsn}"
        click.echo(f"appended {plural(tally.records, 'record')}{last}", err=True)
    if as_json:
        print_json(
            {
                "records": tally.records,
                "bytes": tally.byte_count,
                "first_lsn": tally.first_lsn,
                "last_lsn": tally.last_lsn,
                "durability": durability,
            }
        )


def _opened(log: str) -> logstore.Log:
    """Open a log given as a path, with its service if none runs; attach to one given by name."""
    if "/" in log or Path(log).is_dir():
        return logstore.open(log)
    return logstore.attach(log)


def _append(log: Writer, records: Iterable[bytes], batch: int, shown: str, tally: Tally) -> None:
    number = 0
    for payloads in batches_of(records, batch):
        try:
            lsns = [log.append(payloads[0])] if batch == 1 else log.append_many(payloads)
        except LogstoreError as error:
            last = number + len(payloads)
            place = f"{shown}:{number + 1}" + (f"-{last}" if batch > 1 else "")
            error.message = f"{place}: {error.message}"
            raise
        tally.add(lsns, payloads)
        number += len(payloads)
