"""The list of planted bugs fits the tree, and the README's table is made from it.

Planting them and running the tests is `python -m tools.planted`, a step of the long check.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.service import ROOT
from tools.planted.__main__ import judged
from tools.planted.bug import Bug, Edit, Misfit
from tools.planted.bugs import BUGS
from tools.planted.table import table
from tools.planted.trial import Outcome, Run

README = ROOT / "tests" / "README.md"
_SOUND = "def one():\n    return 1\n"


def test_each_bug_has_a_name_of_its_own() -> None:
    names = [bug.name for bug in BUGS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in names)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_still_fits_the_tree(bug: Bug) -> None:
    assert bug.texts(ROOT)
    for test in bug.tests:
        file, _, name = test.partition("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert f"def {name.partition('[')[0]}(" in text, test


def test_the_table_of_the_readme_is_that_of_the_list() -> None:
    assert table(BUGS) in README.read_text(encoding="utf-8"), (
        "paste what `python -m tools.planted --table` prints into tests/README.md"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [("return 2", "return 3"), ("e", "a"), ("return 1", "return 1")],
    ids=["not there", "there more than once", "nothing changed"],
)
def test_an_edit_that_does_not_fit_is_told_and_changes_nothing(
    old: str, new: str, tmp_path: Path
) -> None:
    (tmp_path / "one.py").write_text(_SOUND)
    good = Edit("one.py", "one", "two")
    with pytest.raises(Misfit, match=r"one\.py"):
        Bug("wrong", "", (), (good, Edit("one.py", old, new))).plant(tmp_path)
    assert (tmp_path / "one.py").read_text() == _SOUND


def test_edits_of_one_file_are_made_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(_SOUND)
    edits = (Edit("one.py", "one", "two"), Edit("one.py", "return 1", "return 2"))
    assert Bug("both", "", (), edits).plant(tmp_path) == ["one.py"]
    assert (tmp_path / "one.py").read_text() == "def two():\n    return 2\n"


@pytest.mark.parametrize(
    ("kind", "said", "code", "word"),
    [
        ("failed", "assert 1 == 2", 1, "caught"),
        ("failed", "Failed: Timeout (>60.0s) from pytest-timeout.", 1, "caught"),
        ("failed", "NameError: name 'x' is not defined", 1, "BROKEN"),
        ("error", "collection failure", 2, "BROKEN"),
        ("passed", "", 0, "SURVIVED"),
        ("passed", "", None, "BROKEN"),
    ],
)
def test_only_a_test_that_fails_catches_a_bug(
    kind: str, said: str, code: int | None, word: str
) -> None:
    run = Run((Outcome("test_it", kind, said),), code, 1.0, "")
    assert judged(run)[0] == word
