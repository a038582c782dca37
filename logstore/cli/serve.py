"""`logstore serve`: the supervisor in the foreground."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from logstore.options import Options


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--name", help="Name to attach by; the directory's own name if not given.")
@click.option("--ring-size", metavar="SIZE", help="Shared memory for records on their way: 32MiB.")
@click.option("--segment-size", metavar="SIZE", help="Begin a new file after this much: 64MiB.")
@click.option(
    "--sync-interval",
    metavar="TIME",
    help="How long a record may wait for the disk when nobody waits for it: 10ms.",
)
@click.option(
    "--retain-bytes",
    metavar="SIZE",
    help="Drop the oldest segments, needed or not, while the log has more: 10GiB; 0: never.",
)
@click.option(
    "--retain-age",
    metavar="TIME",
    help="Drop segments whose records are all older, needed or not: 7d; 0: never.",
)
@click.option(
    "--recovery",
    metavar="MODE",
    help="About damage: strict (refuse), tail (lose the log's end), salvage (keep what is sound).",
)
@click.option(
    "--mode",
    metavar="MODE",
    help="600: the owner alone; 640: the group reads; 660: it appends, too.",
)
def command(
    directory: Path,
    name: str | None,
    ring_size: str | None,
    segment_size: str | None,
    sync_interval: str | None,
    retain_bytes: str | None,
    retain_age: str | None,
    recovery: str | None,
    mode: str | None,
) -> int:
    """Run the service of a log in the foreground.

    Makes DIRECTORY if it is not there, recovers what an earlier run left, and serves until
    SIGTERM or Ctrl-C; then everything is on disk. Settings come from the flags, then from
    LOGSTORE_RING_SIZE, LOGSTORE_SEGMENT_SIZE, LOGSTORE_SYNC_INTERVAL, LOGSTORE_RETAIN_BYTES,
    LOGSTORE_RETAIN_AGE, LOGSTORE_RECOVERY and LOGSTORE_MODE, then from logstore.toml in DIRECTORY.
    Retention never drops what a reader, a cursor or an open transaction needs.

    A log that is damaged below what was durable is refused (--recovery strict). With tail or
    salvage the service goes on without what is lost, and tells what that is; nothing is deleted,
    what is taken out lies in DIRECTORY/quarantine. `logstore repair` shows it beforehand.

    \b
    Examples:
      logstore serve data/orders
      logstore serve data/orders --ring-size 8MiB --segment-size 256MiB
      logstore serve data/orders --recovery tail
    """
    options = Options.load(
        directory,
        ring_size=ring_size,
        segment_size=segment_size,
        sync_interval_s=sync_interval,
        retain_bytes=retain_bytes,
        retain_age_s=retain_age,
        mode=mode,
        recovery=recovery,
    )
    # Imported late: `--help` and a wrong option need no workers.
    from logstore.workers.supervisor import run

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    return run(directory, options, name)
