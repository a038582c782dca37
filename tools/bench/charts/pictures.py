"""The pictures, each from what a run has measured; None where it has not."""

from __future__ import annotations

from typing import Final

from tools.bench.charts import style
from tools.bench.charts.figures import Results
from tools.bench.charts.style import Figure

_NINES: Final = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999)


def rate(results: Results) -> Figure | None:
    """One writer, 64 B, not synced: bars."""
    found = [(o.facts["store"], o) for o in results.where("P1", way="loop", writers=1, size=64)]
    if len(found) < 2:
        return None
    figure, axes = style.new(
        "Records per second from a plain Python loop of appends",
        "One writer, 64 B records, each safe from the death of its process; one sync at the end "
        "(P1)",
    )
    found.sort(key=lambda pair: pair[1].median["records/s"])
    for height, (store, one) in enumerate(found):
        value = one.median["records/s"]
        axes.barh(height, value, color=style.COLOURS[store], height=0.62)
        axes.text(value, height, f"  {style.amount(value)}", va="center", fontsize=9.5)
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    style.plain_ticks(axes.xaxis, [], [])
    style.plain_ticks(axes.yaxis, range(len(found)), [style.NAMES[store] for store, _ in found])
    axes.tick_params(left=False)
    figure.subplots_adjust(left=0.18, right=0.92, bottom=0.05)
    return figure


def durable_by_writers(results: Results) -> Figure | None:
    """Blocking writers: rate by their number."""
    lines = results.lines("P3", "writers", "records/s")
    if len(lines.get("logstore", ())) < 2:
        return None
    figure, axes = style.new(
        "Durable records per second, by number of processes",
        "Each process appends 64 B and waits until it is on disk before the next one (P3)",
    )
    counts = sorted({x for points in lines.values() for x, *_ in points})
    for store, points in lines.items():
        style.line(axes, store, [(x, y) for x, y, *_ in points])
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    style.plain_ticks(axes.xaxis, counts, [f"{x:.0f}" for x in counts])
    axes.set_xlabel("writer processes")
    axes.set_xlim(0.9, counts[-1] * 1.06)
    axes.minorticks_off()
    rates = style.round_values(y for points in lines.values() for _, y, *_ in points)
    style.plain_ticks(axes.yaxis, rates, [style.amount(rate) for rate in rates])
    last = counts[-1]
    ends = [(_ended(store, points, last), style.COLOURS[store], points[-1][1])
            for store, points in lines.items()]  # fmt: skip
    style.name_ends(axes, ends)
    return figure


def _ended(store: str, points: list[tuple[float, float, float, float]], last: float) -> str:
    name = style.NAMES[store]
    if store == "raw":
        name = "own files, fdatasync"
    return name if points[-1][0] == last else f"{name} (1 process)"


def by_size(results: Results) -> Figure | None:
    """MB/s by record size beside the limit."""
    lines = results.lines("P1", "size", "records/s", way="loop", writers=1)
    own = results.where("P1", has="limit MB/s", way="loop", writers=1)
    if len(lines.get("logstore", ())) < 2:
        return None
    figure, axes = style.new(
        "Throughput by record size, next to what the disk takes",
        "One writer, a plain loop of appends, one sync at the end; payload bytes (P1)",
    )
    sizes = sorted({x for points in lines.values() for x, *_ in points})
    for store, points in lines.items():
        style.line(axes, store, [(size, size * rate / 1e6) for size, rate, *_ in points])
    ends = [
        (style.NAMES[store], style.COLOURS[store], points[-1][0] * points[-1][1] / 1e6)
        for store, points in lines.items()
    ]
    limit = sorted((one.facts["size"], one.median["limit MB/s"]) for one in own)
    axes.plot(*zip(*limit, strict=True), color="black", linewidth=1.2, linestyle=(0, (4, 3)))
    ends.append(("limit: 1 MiB writes", "black", limit[-1][1]))
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.set_ylabel("MB/s")
    axes.set_xlabel("bytes in a record")
    axes.minorticks_off()
    style.plain_ticks(axes.xaxis, sizes, [f"{x:,.0f}" for x in sizes])
    style.name_ends(axes, ends)
    return figure


def _percentiles(results: Results, title: str, subtitle: str, durable: int) -> Figure | None:
    found = [one for one in results.where("P4", durable=durable, peers=1) if one.latency]
    if len(found) < 2:
        return None
    figure, axes = style.new(title, subtitle)
    ends = []
    most = min(sum(one.latency.counts.values()) for one in found if one.latency)
    shares = [share for share in _NINES if (1 - share) * most >= 1]
    for one in found:
        assert one.latency is not None
        store = str(one.facts["store"])
        curve = [(1 / (1 - share), ns / 1e3) for share, ns in one.latency.curve() if share < 1]
        end = 1 / (1 - shares[-1])
        curve = [(x, y) for x, y in curve if x < end]
        curve.append((end, one.latency.percentile(shares[-1]) / 1e3))
        style.line(axes, store, curve, marks=False)
        ends.append((style.NAMES[store], style.COLOURS[store], curve[-1][1]))
    axes.set_xscale("log")
    axes.set_yscale("log")
    ticks = [1 / (1 - share) for share in shares]
    texts = ["0", *(f"{100 * share:g} %" for share in shares[1:])]
    style.plain_ticks(axes.xaxis, ticks, texts)
    axes.set_xlim(1, ticks[-1])
    axes.set_xlabel("share of records that took at most so long")
    axes.yaxis.set_major_formatter(lambda value, _: style.duration(value))
    axes.minorticks_off()
    style.name_ends(axes, ends)
    return figure


def durable_latency(results: Results) -> Figure | None:
    """Percentiles of a durable put at a fixed rate."""
    return _percentiles(
        results,
        "How long until a record is durable, at 1,000 records a second",
        "From the moment it was meant to come, so that a stall counts for all it delays (P4)",
        1,
    )


def append_latency(results: Results) -> Figure | None:
    """Percentiles of a put that is not synced at a fixed rate."""
    return _percentiles(
        results,
        "How long an append takes, at 5,000 records a second",
        "Not synced; from the moment it was meant to come (P4)",
        0,
    )


def start(results: Results) -> Figure | None:
    """Time to the first append after kill -9, by the log's size."""
    found = sorted(
        (one.facts["mib"], one.median["start after kill s"], one.median["start s"])
        for one in results.where("P9", has="segments")
    )
    larger = [
        (1024 * one.facts["gib"], one.median["seconds to append"])
        for one in results.where("P5", has="gib")
    ]
    if len(found) < 2:
        return None
    figure, axes = style.new(
        "Time to the first append does not grow with the log",
        "Starting the service and appending, by the size of the log that is there (P9, P5)",
    )
    killed = sorted([*((mib, seconds) for mib, seconds, _ in found), *larger])
    style.line(axes, "logstore", killed)
    axes.plot(
        [mib for mib, *_ in found],
        [clean for *_, clean in found],
        color="#7aa6cf",
        linewidth=1.6,
        marker="o",
    )
    axes.set_xscale("log")
    sizes = [mib for mib, _ in killed]
    style.plain_ticks(axes.xaxis, sizes, [style.size(mib) for mib in sizes])
    axes.set_ylim(0, 1.25 * max(value for one in (*found, *killed) for value in one[1:]))
    axes.set_ylabel("seconds")
    axes.minorticks_off()
    ends = [("logstore, killed", style.COLOURS["logstore"], killed[-1][1])]
    ends.append(("stopped in order", "#5b8fc0", found[-1][2]))
    style.name_ends(axes, ends)
    return figure


ALL: Final = {
    "rate": rate,
    "durable-by-writers": durable_by_writers,
    "by-size": by_size,
    "durable-latency": durable_latency,
    "append-latency": append_latency,
    "start": start,
}
