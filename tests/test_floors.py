"""The table of floors: the tree keeps it, and a planted import that breaks it is caught."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import floors

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Build a small tree of rooms, with workers at the top and a symlink as in the real one."""
    for room in ("frames", "ring", "segments", "cli"):
        (tmp_path / "logstore" / room).mkdir(parents=True)
        (tmp_path / "logstore" / room / "__init__.py").touch()
    (tmp_path / "workers").mkdir()
    (tmp_path / "logstore" / "workers").symlink_to("../workers")
    for name in ("__init__", "errors", "lsn", "files", "log"):
        (tmp_path / "logstore" / f"{name}.py").touch()
    (tmp_path / "workers" / "__init__.py").touch()
    return tmp_path


def test_the_real_tree_has_no_import_that_goes_up_or_sideways() -> None:
    assert [str(v) for v in floors.violations(ROOT)] == []


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("logstore/errors.py", "import logstore.files", "upward: logstore.files (files, floor "),
        ("logstore/ring/region.py", "from logstore import log", "upward: logstore.log (faces"),
        ("logstore/ring/region.py", "import logstore", "upward: logstore (faces, "),
        ("logstore/ring/region.py", "from ..segments import x", "sideways: logstore.segments"),
        ("logstore/segments/seal.py", "from logstore.ring._ring import R", "sideways: logstore.ri"),
        ("logstore/files.py", "from . import frames", "sideways: logstore.frames (frames, floor "),
        ("logstore/log.py", "def f():\n    from logstore.workers import supervisor", "upward"),
        ("workers/committer.py", "from logstore.cli import main", "upward: logstore.cli (cli,"),
        ("workers/committer.py", "import workers.syncer", "its name is logstore.workers"),
        ("logstore/log.py", "from rich.table import Table", "imports rich, which only cli may"),
    ],
    ids=lambda value: value.replace("\n", " ") if isinstance(value, str) else None,
)
def test_a_planted_import_is_caught_with_its_place(
    house: Path, file: str, source: str, complaint: str
) -> None:
    (house / file).write_text(f'"""Planted."""\n\n{source}\n')
    found = [str(v) for v in floors.violations(house)]
    line = 4 if source.startswith("def") else 3
    assert len(found) == 1
    assert found[0].startswith(f"{file}:{line}: ")
    assert complaint in found[0]


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("logstore/lsn.py", "from logstore.errors import InvalidLSN"),
        ("logstore/segments/seal.py", "from .segment import x\nfrom ..frames import Survey"),
        ("logstore/log.py", "import logstore.ring._ring\nfrom .segments.reader import R"),
        ("workers/committer.py", "from logstore import log, segments\nfrom .syncer import f"),
        ("logstore/cli/top.py", "import rich\nimport click\nimport logstore"),
    ],
)
def test_an_import_that_goes_down_or_stays_in_its_room_passes(
    house: Path, file: str, source: str
) -> None:
    (house / file).write_text(source + "\n")
    assert floors.violations(house) == []


def test_the_command_prints_the_place_and_fails(
    house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (house / "logstore" / "lsn.py").write_text("import logstore.log\n")
    assert floors.main([str(house)]) == 1
    assert capsys.readouterr().out.startswith("logstore/lsn.py:1: logstore.lsn ")
