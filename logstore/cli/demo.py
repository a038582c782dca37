"""`logstore demo`: the whole log on real input, with two kills."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

import click

from logstore.cli import exit_codes
from logstore.cli.arguments import json_option
from logstore.cli.demo_check import Verdict, check
from logstore.cli.demo_run import Course, Run, run
from logstore.cli.output import count_text, duration_text, print_columns, print_json
from logstore.cli.progress import progress_bar


@click.command()
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    help="Where to make the log, and keep it; a temporary directory if not given.",
)
@click.option(
    "--lines",
    "line_count",
    type=click.IntRange(min=10_000),
    default=600_000,
    show_default=True,
    help="How many lines to append, about.",
)
@json_option
def command(directory: Path | None, line_count: int, as_json: bool) -> int:
    """Run the whole log on real input, with two kills, and compare every line.

    Starts a service in a fresh directory. Four processes append the lines of Python's own
    standard library: two wait for every record, two append batches. Half-way one writer, then
    the committer, is killed with SIGKILL. Then everything is read back from disk and compared
    with the sources. The exit code is 0 only if nothing acknowledged is missing or changed.
    """
    with _place(directory) as place:
        with progress_bar("durable lines", line_count) as progress:
            done = run(place, line_count, _tell, progress)
        _tell("reading everything back from disk")
        verdict = check(place, done.courses)
    if as_json:
        print_json(measured(done, verdict))
    else:
        _print(done, verdict)
    return exit_codes.FAILURE if verdict.fault_count else exit_codes.OK


def _tell(text: str) -> None:
    # Not by click.echo: it writes past the progress bar, which keeps itself below such lines.
    print(text, file=sys.stderr, flush=True)


@contextmanager
def _place(directory: Path | None) -> Iterator[Path]:
    if directory is None:
        with tempfile.TemporaryDirectory(prefix="logstore-demo-") as scratch:
            yield Path(scratch, Path(scratch).name)
        return
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise click.UsageError(f"--directory must be new or empty, {directory} is not")
    yield directory


def measured(done: Run, verdict: Verdict) -> dict[str, Any]:
    """Give the result JSON's types; times in nanoseconds."""
    groups = {
        "each_record": [course for course in done.courses if course.writer.batch == 1],
        "batches": [course for course in done.courses if course.writer.batch > 1],
    }
    payload_bytes = sum(_acked_bytes(course) for course in done.courses)
    return {
        "records": verdict.records,
        "acknowledged": verdict.acked,
        "unacknowledged": verdict.unacked,
        "elapsed_s": round(done.elapsed_s, 3),
        "payload_bytes": payload_bytes,
        "megabytes_per_s": round(payload_bytes / done.elapsed_s / 1e6, 3),
        "syncs": done.syncs,
        "records_per_sync": round(verdict.records / max(1, done.syncs), 1),
        "durable_latency_ns": {name: _latency(courses) for name, courses in groups.items()},
        "longest_pause_ns": _pauses(done),
        "faults": verdict.faults,
        "fault_count": verdict.fault_count,
        "ok": verdict.fault_count == 0,
    }


def _acked_bytes(course: Course) -> int:
    lines = zip(range(course.acked_count), course.writer.lines(), strict=False)
    return sum(len(line) for _, line in lines)


def _latency(courses: list[Course]) -> dict[str, int]:
    times = [ack.ended_ns - ack.began_ns for course in courses for ack in course.acks]
    cuts = quantiles(times, n=100, method="inclusive")
    return {"p50": round(cuts[49]), "p99": round(cuts[98]), "max": max(times)}


def _pauses(done: Run) -> dict[str, int]:
    """Return the longest durable append of a survivor from each kill to the next, or to the end.

    Of one that was under way at the kill, the part after it counts.
    """
    ends = [at_ns for _, at_ns in done.kills[1:]]
    last_ns = max(course.acks[-1].ended_ns for course in done.courses if course.acks)
    pauses = {}
    for (name, at_ns), end_ns in zip(done.kills, [*ends, last_ns], strict=True):
        pauses[name] = max(
            (
                min(ack.ended_ns, end_ns) - max(ack.began_ns, at_ns)
                for course in done.courses
                for ack in course.acks
                if not course.killed and ack.ended_ns > at_ns and ack.began_ns < end_ns
            ),
            default=0,
        )
    return pauses


def _print(done: Run, verdict: Verdict) -> None:
    found = measured(done, verdict)
    latency, pause = found["durable_latency_ns"], found["longest_pause_ns"]
    rows = [
        ("records on disk", count_text(found["records"])),
        ("acknowledged", count_text(found["acknowledged"])),
        ("time", f"{found['elapsed_s']:.1f} s"),
        ("payload", f"{found['megabytes_per_s']:.1f} MB/s"),
        ("syncs", count_text(found["syncs"])),
        ("records per sync", f"{found['records_per_sync']:.1f}"),
    ]
    for name, label in (
        ("each_record", "durable, one record"),
        ("batches", "durable, batch of 64"),
    ):
        p50, p99 = (duration_text(latency[name][key]) for key in ("p50", "p99"))
        rows.append((label, f"p50 {p50}, p99 {p99}"))
    rows += [(f"longest pause, {name} killed", duration_text(ns)) for name, ns in pause.items()]
    click.echo()
    print_columns(rows)
    click.echo()
    for fault in verdict.faults:
        click.echo(f"FAULT  {fault}")
    if verdict.fault_count:
        click.echo(f"FAILED: {verdict.fault_count} faults")
        return
    click.echo(
        "ok: every acknowledged record is on disk, unchanged and in order "
        f"({count_text(verdict.unacked)} more that their killed writer could not tell of)"
    )
