"""`logstore verify`: check every byte of a log on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from logstore.cli import exit_codes
from logstore.cli.arguments import json_option, log_argument
from logstore.cli.attaching import attach
from logstore.cli.output import plural, print_json, size_text
from logstore.cli.progress import progress_bar
from logstore.cli.verifying import Report, Verification
from logstore.errors import Corruption, LogstoreError, NotFound, NotRunning
from logstore.files import Directory
from logstore.segments.disk_errors import reading
from logstore.service import supervised


@click.command()
@log_argument
@json_option
def command(log: str, as_json: bool) -> int:
    """Check every byte on disk; safe on a live log.

    Reads every frame of every segment, the chain of headers, the footers and the manifest, and
    changes nothing. Names segment, offset and LSN of whatever is not as it was written; the exit
    code is then 4. A torn tail, which the next start repairs by itself, is only told.

    \b
    Examples:
      logstore verify data/orders
      logstore verify orders --json
    """
    path, written_lsn = locate(log)
    with reading(str(path)):
        directory = Directory.open(path, create=False)
    with directory, progress_bar("verify", _segment_bytes(directory)) as progress:
        report = Verification(directory, written_lsn, progress).run()
    _print(report, str(path), as_json)
    return exit_codes.CORRUPT if report.corrupt else exit_codes.OK


def locate(log: str) -> tuple[Path, int | None]:
    """Find a log's directory, and its written watermark if a service runs."""
    try:
        with attach(log, read_only=True) as opened:
            return opened.path, opened.watermarks().written
    except NotRunning:
        if not Path(log).is_dir():
            raise
        return Path(log), None
    except (Corruption, NotFound):
        # Without a manifest nobody can attach; what is there can be looked at all the same.
        if not Path(log).is_dir():
            raise
        return Path(log), 0 if supervised(Path(log)) else None


def _segment_bytes(directory: Directory) -> int:
    return sum(size for name, size in directory.sizes().items() if name.endswith(".seg"))


def _print(report: Report, path: str, as_json: bool) -> None:
    marked = [("corrupt", error) for error in report.corrupt]
    marked += [("note", error) for error in report.notes]
    for kind, error in marked:
        if as_json:
            print_json({"type": kind, **_place(error)})
        else:
            error.path = None
            click.echo(f"{kind}: {error}")
    if as_json:
        verdict = "corrupt" if report.corrupt else "sound"
        numbers = {
            "segments": report.segments,
            "records": report.records,
            "bytes": report.bytes,
            "end_lsn": report.end_lsn,
        }
        print_json({"type": "summary", "path": path, "verdict": verdict, **numbers})
        return
    verdict = plural(len(report.corrupt), "corrupt place") if report.corrupt else "sound"
    counted = f"{plural(report.segments, 'segment')}, {plural(report.records, 'record')}"
    click.echo(f"{path}: {counted}, {size_text(report.bytes)}: {verdict}")


def _place(error: LogstoreError) -> dict[str, Any]:
    return {
        "message": error.message,
        "segment": error.segment,
        "offset": error.offset,
        "lsn": error.lsn,
    }
