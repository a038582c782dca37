"""`logstore top`: the status, redrawn four times a second, with rates."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import click

import logstore
from logstore.cli.arguments import json_option, log_argument, parsed_seconds
from logstore.cli.attaching import attach
from logstore.cli.output import column_lines, count_text, print_json, size_text
from logstore.cli.status_text import client_lines, head_lines, histogram_lines, watermark_lines

if TYPE_CHECKING:
    from rich.console import Group

    from logstore.status import Status

_BAR_WIDTH: Final = 40
_SHORTEST_S: Final = 0.05


@click.command()
@log_argument
@click.option("--once", is_flag=True, help="Print one picture and end.")
@click.option(
    "--interval",
    type=parsed_seconds,
    default="250ms",
    show_default=True,
    metavar="TIME",
    help="Time between two looks, 50ms at least.",
)
@json_option
def command(log: str, once: bool, interval: float, as_json: bool) -> None:
    """Watch the service live.

    Shows the watermarks, the ring, rates per second, workers and clients. Ctrl-C ends it.

    \b
    Examples:
      logstore top orders
      logstore top orders --once --json
    """
    if interval < _SHORTEST_S:
        raise click.BadParameter("--interval is 50ms at least")
    with attach(log, read_only=True) as opened:
        if as_json or once:
            _print(opened, interval, once, as_json)
        else:
            _draw(opened, interval)


def rates(before: Status, after: Status, elapsed_s: float) -> dict[str, float]:
    """Return what each counter grew by per second between two looks."""
    return {
        name: (value - before.counters.get(name, 0)) / elapsed_s
        for name, value in after.counters.items()
    }


def picture(status: Status, per_second: dict[str, float]) -> list[str]:
    """Draw one look as lines of text."""
    filled = round(_BAR_WIDTH * status.ring_used / status.ring_size) if status.ring_size else 0
    rows = [("", "per second", "total")]
    for name, value in status.counters.items():
        rate = per_second.get(name, 0.0)
        text: Callable[[float], str] = size_text if name.endswith("bytes") else _whole
        rows.append((name.replace("_", " "), text(rate), text(value)))
    return [
        *head_lines(status),
        f"       [{'#' * filled}{'.' * (_BAR_WIDTH - filled)}]",
        "",
        *_beside(watermark_lines(status.watermarks), column_lines(rows, right=(1, 2))),
        "",
        *histogram_lines(status.histograms),
        "",
        *client_lines(status.clients),
        "",
        *column_lines(usage_rows(status), right=(1, 2, 3)),
    ]


def usage_rows(status: Status) -> list[tuple[str, ...]]:
    """Say what processor time and memory the processes take, as far as they can be seen."""
    import psutil  # only here: the rest of the command does not wait for it

    rows: list[tuple[str, ...]] = [("process", "pid", "cpu", "memory")]
    for client in status.clients:
        try:
            process = psutil.Process(client.pid)
            seconds, memory = sum(process.cpu_times()[:2]), process.memory_info().rss
        except psutil.Error:
            continue  # gone, or somebody else's
        rows.append(
            (client.role or client.command, str(client.pid), f"{seconds:.1f} s", size_text(memory))
        )
    return rows


def _whole(value: float) -> str:
    return count_text(round(value))


def _beside(left: list[str], right: list[str]) -> list[str]:
    height = max(len(left), len(right))
    padded = [lines + [""] * (height - len(lines)) for lines in (left, right)]
    return column_lines(list(zip(*padded, strict=True)))


def _look(
    log: logstore.Log, before: Status, since: float
) -> tuple[Status, float, dict[str, float]]:
    now = time.monotonic()
    status = log.status()
    return status, now, rates(before, status, max(now - since, 1e-9))


def _print(log: logstore.Log, interval: float, once: bool, as_json: bool) -> None:
    status, since = log.status(), time.monotonic()
    while True:
        time.sleep(interval)
        status, since, per_second = _look(log, status, since)
        if as_json:
            print_json({"running": True, **status.as_dict(), "per_second": per_second})
        else:
            click.echo("\n".join(picture(status, per_second)))
        if once:
            return
        sys.stdout.flush()


def _draw(log: logstore.Log, interval: float) -> None:
    # Imported late: it takes longer than the rest of the command's start.
    from rich.live import Live

    status, since = log.status(), time.monotonic()
    with Live(_group(picture(status, {})), auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(interval)
            status, since, per_second = _look(log, status, since)
            live.update(_group(picture(status, per_second)), refresh=True)


def _group(lines: list[str]) -> Group:
    from rich.console import Group
    from rich.text import Text

    return Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in lines))
