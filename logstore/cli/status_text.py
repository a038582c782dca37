"""A log's status as lines of text; `status` prints them once, `top` again and again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from logstore.cli.output import column_lines, count_text, duration_text, plural, quantile, size_text

if TYPE_CHECKING:
    from logstore.cursors import CursorStatus
    from logstore.lsn import Watermarks
    from logstore.pins import Holder
    from logstore.status import ClientStatus, Status

PINS_SHOWN: Final = 10
_IN_BYTES: Final = ("drain_size",)
_WATERMARKS: Final = ("reserved", "published", "written", "synced", "checkpointed", "start")


def head_lines(status: Status) -> list[str]:
    """Say which log this is, how it is, and how full ring and disk are."""
    used = status.ring_used / status.ring_size if status.ring_size else 0.0
    rows = [
        ("log", f"{status.name} ({status.path})"),
        ("state", f"{status.state}, epoch {status.epoch}"),
        (
            "ring",
            f"{size_text(status.ring_used)} of {size_text(status.ring_size)} in use ({used:.0%})",
        ),
        ("disk", f"{plural(status.segments, 'segment')}, {size_text(status.bytes_on_disk)}"),
    ]
    if not status.served:
        rows.insert(2, ("service", "gone: supervisor and workers are dead"))
    rows += [("lost", f"LSN {first} to {last}") for first, last in status.holes]
    for name, facts in (("failure", status.failure), ("stall", status.stall)):
        if facts:
            rows.append((name, ", ".join(f"{key} {value}" for key, value in facts.items())))
    return column_lines(rows)


def watermark_lines(watermarks: Watermarks) -> list[str]:
    """List the watermarks from the newest position down, and how far each is behind it."""
    rows = [("watermark", "LSN", "behind")]
    for name in _WATERMARKS:
        lsn = getattr(watermarks, name)
        rows.append((name, count_text(lsn), size_text(watermarks.reserved - lsn)))
    return column_lines(rows, right=(1, 2))


def client_lines(clients: list[ClientStatus]) -> list[str]:
    """List the attached processes: workers first, then clients by index."""
    rows = [
        ("role", "pid", "appends", "bytes", "batches", "stalls", "attached", "command"),
    ]
    for client in sorted(clients, key=lambda client: (client.role is None, client.index)):
        rows.append(
            (
                (client.role or f"client {client.index}") + ("" if client.alive else " (dead)"),
                str(client.pid),
                count_text(client.appends),
                size_text(client.bytes),
                count_text(client.batches),
                count_text(client.stalls),
                duration_text(client.attached_s * 1e9),
                client.command,
            )
        )
    return column_lines(rows, right=(1, 2, 3, 4, 5, 6))


def cursor_lines(cursors: list[CursorStatus]) -> list[str]:
    """List the durable cursors: how far each consumer is, and who it is."""
    rows = [("cursor", "group", "position", "lag", "saved", "holder")]
    for cursor in cursors:
        age_ns = max(0, time.time_ns() - cursor.updated_ns)
        rows.append(
            (
                cursor.name,
                "(all)" if cursor.group is None else cursor.group,
                "damaged" if cursor.damaged else count_text(cursor.position_lsn),
                size_text(cursor.lag),
                "-" if cursor.damaged else f"{duration_text(age_ns)} ago",
                "-" if cursor.holder is None else f"pid {cursor.holder}",
            )
        )
    return column_lines(rows, right=(2, 3, 4))


def pin_lines(pins: list[Holder]) -> list[str]:
    """List what keeps the oldest sealed segments from being dropped."""
    rows = [("pins:", "LSN", "bytes", "age", "why", "who")]
    for pin in pins[:PINS_SHOWN]:
        age_ns = max(0, time.time_ns() - pin.since_ns)
        rows.append(
            (
                pin.segment,
                count_text(pin.lsn),
                size_text(pin.bytes),
                duration_text(age_ns) if pin.since_ns else "-",
                pin.why,
                pin.who or "-",
            )
        )
    more = len(pins) - PINS_SHOWN
    rest = [f"and {plural(more, 'newer segment')}; --json shows all"] if more > 0 else []
    return column_lines(rows, right=(1, 2, 3)) + rest


def counter_lines(counters: dict[str, int]) -> list[str]:
    """List what has been counted since the region was made."""
    rows = [(name.replace("_", " "), count_text(value)) for name, value in counters.items()]
    return column_lines([("counter", "total"), *rows], right=(1,))


def histogram_lines(histograms: dict[str, list[int]]) -> list[str]:
    """Give p50, p99 and the largest of each histogram, as upper bounds of its buckets."""
    rows = [("distribution", "count", "p50 <", "p99 <", "max <")]
    for name, buckets in histograms.items():
        text = size_text if name in _IN_BYTES else duration_text
        p50, p99, largest = (
            "-" if (bound := quantile(buckets, fraction)) is None else text(bound)
            for fraction in (0.50, 0.99, 1.0)
        )
        rows.append((name.replace("_", " "), count_text(sum(buckets)), p50, p99, largest))
    return column_lines(rows, right=(1, 2, 3, 4))


def report_lines(status: Status, pins: list[Holder]) -> list[str]:
    """Give the whole status, part by part."""
    parts = [
        head_lines(status),
        watermark_lines(status.watermarks),
        client_lines(status.clients),
        counter_lines(status.counters),
        histogram_lines(status.histograms),
    ]
    if pins:
        parts.insert(3, pin_lines(pins))
    if status.cursors:
        parts.insert(3, cursor_lines(status.cursors))
    return [line for part in parts for line in (*part, "")][:-1]
