"""Pictures of what was measured; needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tools.bench.charts.figures import Results
from tools.bench.charts.pictures import ALL
from tools.bench.charts.style import save


def draw_all(files: Sequence[Path], directory: Path) -> list[Path]:
    """Draw what the figures allow into a directory; return the paths."""
    results = Results.load(files)
    paths = []
    for name, picture in ALL.items():
        figure = picture(results)
        if figure is not None:
            paths += save(figure, directory, name)
    return paths
