"""The examples in the documentation run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.service import environment, processes_of, until

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "logstore/README.md")


def examples() -> list[tuple[str, int, str]]:
    """Return (page, number, source) of every Python block."""
    found = []
    for page in PAGES:
        blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
        found += [(page, number, block) for number, block in enumerate(blocks, 1)]
    return found


def _ended(place: Path) -> bool:
    return not processes_of(place)


@pytest.mark.process
@pytest.mark.parametrize(
    ("page", "number", "source"), examples(), ids=lambda value: str(value)[:20].splitlines()[0]
)
def test_an_example_of_the_documentation_runs(
    page: str, number: int, source: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source],
        cwd=tmp_path,
        env=environment(),
        timeout=60,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{page}, block {number}:\n{done.stderr}"
    for place in (tmp_path / "data").iterdir():
        until(partial(_ended, place), "the service has ended by itself")
