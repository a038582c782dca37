"""How the pictures look: one message each, lines named where they end, sober colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeAlias

Figure: TypeAlias = Any  # matplotlib need not be there
Axes: TypeAlias = Any
Axis: TypeAlias = Any

COLOURS: Final = {
    "logstore": "#0b4f8a",
    "raw": "#6f6f6f",
    "sqlite": "#b5651d",
    "lmdb": "#3f7d4e",
    "rocksdict": "#7a5195",
    "redis": "#b03a3a",
    "diskcache": "#b8962e",
}
NAMES: Final = {
    "logstore": "logstore",
    "raw": "write + fdatasync",
    "sqlite": "SQLite",
    "lmdb": "LMDB",
    "rocksdict": "RocksDB",
    "redis": "Redis",
    "diskcache": "diskcache",
}
_SIZE: Final = (8.0, 4.6)
_INK: Final = "#222222"
_FAINT: Final = "#777777"
_GAP: Final = 0.052
"""Between two names, as a share of the picture's height."""


def new(title: str, subtitle: str) -> tuple[Figure, Axes]:
    """Begin a picture; return figure and axes."""
    matplotlib = import_module("matplotlib")
    matplotlib.use("Agg")
    matplotlib.rcParams.update(
        {
            "font.family": "DejaVu Sans",
            "font.size": 10,
            "svg.hashsalt": "logstore",
            "axes.edgecolor": _FAINT,
            "text.color": _INK,
            "axes.labelcolor": _INK,
            "xtick.color": _INK,
            "ytick.color": _INK,
        }
    )
    figure, axes = import_module("matplotlib.pyplot").subplots(figsize=_SIZE)
    figure.subplots_adjust(left=0.1, right=0.79, top=0.82, bottom=0.13)
    figure.text(0.02, 0.94, title, fontsize=13, fontweight="bold")
    figure.text(0.02, 0.885, subtitle, fontsize=9, color=_FAINT)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.minorticks_off()
    return figure, axes


def is_own(store: str) -> bool:
    """Tell whether a line is ours, and drawn above the others."""
    return store.startswith("logstore")


def line(
    axes: Axes, store: str, points: Sequence[tuple[float, float]], *, marks: bool = True
) -> None:
    """Draw one store's line."""
    axes.plot(
        [x for x, _ in points],
        [y for _, y in points],
        color=COLOURS[store],
        linewidth=2.6 if is_own(store) else 1.4,
        marker="o" if marks else None,
        markersize=5 if is_own(store) else 3.5,
        zorder=3 if is_own(store) else 2,
    )


def name_ends(axes: Axes, ends: Iterable[tuple[str, str, float]]) -> None:
    """Write names (text, colour, height) right of the axes, moved apart where they would touch."""
    axes.figure.canvas.draw()
    low, high = axes.get_ylim()
    to_share = axes.transAxes.inverted()
    placed: list[tuple[float, str, str]] = []
    for text, colour, value in ends:
        at = axes.transData.transform((1, min(max(value, low), high)))
        placed.append((float(to_share.transform(at)[1]), text, colour))
    placed.sort()
    heights = [height for height, _, _ in placed]
    for _ in range(200):  # push neighbours apart, little by little
        for lower in range(len(heights) - 1):
            lack = _GAP - (heights[lower + 1] - heights[lower])
            if lack > 0:
                heights[lower] -= lack / 2
                heights[lower + 1] += lack / 2
    for height, (_, text, colour) in zip(heights, placed, strict=True):
        axes.text(
            1.015,
            height,
            text,
            color=colour,
            transform=axes.transAxes,
            va="center",
            fontsize=9.5,
            fontweight="bold" if is_own(text) else "normal",
        )


def plain_ticks(axis: Axis, values: Sequence[float], texts: Sequence[str]) -> None:
    """Put ticks at values, with texts."""
    axis.set_ticks(list(values), labels=list(texts))


def round_values(values: Iterable[float]) -> list[float]:
    """Return the 1, 2 and 5 times powers of ten that lie among values, for a short log scale."""
    given = sorted(values)
    tens = [10.0**power for power in range(-3, 12)]
    return [d * ten for ten in tens for d in (1, 2, 5) if given[0] <= d * ten <= given[-1]]


def amount(value: float) -> str:
    """Write a large number shortly: 1.2 M, 35 k."""
    for limit, letter in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g} {letter}"
    return f"{value:.3g}"


def duration(microseconds: float) -> str:
    """Write a time with its unit."""
    if microseconds >= 1e6:
        return f"{microseconds / 1e6:.3g} s"
    if microseconds >= 1e3:
        return f"{microseconds / 1e3:.3g} ms"
    return f"{microseconds:.3g} µs"


def size(mebibytes: int) -> str:
    """Write a size of a log."""
    return f"{mebibytes / 1024:g} GiB" if mebibytes >= 1024 else f"{mebibytes} MiB"


def save(figure: Figure, directory: Path, name: str) -> list[Path]:
    """Write a picture as PNG and SVG, the same bytes for the same figures."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / f"{name}.png", directory / f"{name}.svg"]
    figure.savefig(paths[0], dpi=110, metadata={"Software": None})
    figure.savefig(paths[1], metadata={"Date": None})
    import_module("matplotlib.pyplot").close(figure)
    return paths
