"""Copies of the source tree to plant bugs in: made, compiled, and really what is imported."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tools.building import command_for, copy_tree, depends_on, extensions, target_of
from tools.planted.bug import Misfit

# The virtual environment has an editable install of the real tree; PYTHONPATH comes before it.
IMPORTED = """
import importlib
names = "logstore", "logstore.workers", "logstore.frames._frame", "logstore.ring._ring", "tests"
for name in names:
    print(importlib.import_module(name).__file__)
"""


def copied(place: Path) -> Path:
    """Copy the tree, with what was compiled; return where it is."""
    tree = place / "tree"
    copy_tree(tree)
    return tree


def environment(tree: Path) -> dict[str, str]:
    """Return the environment in which Python imports from a copy."""
    return os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}


def make_good(tree: Path, changed: Iterable[str]) -> None:
    """Compile what has to be compiled anew, and see that the changed Python makes sense.

    Raises:
        Misfit: It cannot be compiled, or names what is not there.
    """
    files = list(changed)
    for module in extensions():
        if any(depends_on(module, name) for name in files):
            _run(command_for(module, tree / target_of(module), ["-Werror=implicit"]), tree)
    python = [name for name in files if name.endswith(".py")]
    if python:
        ruff = [sys.executable, "-m", "ruff", "check", "--quiet", "--isolated", "--no-cache"]
        _run([*ruff, "--select", "E9,F82", *python], tree)


def _run(command: list[str], tree: Path) -> None:
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Misfit(f"{shlex.join(command)}\n{done.stdout}{done.stderr}")


def imported_from(tree: Path) -> list[str]:
    """Return what a test in the copy imports, by path in the copy.

    Raises:
        Misfit: Something comes from elsewhere.
    """
    command = [sys.executable, "-c", IMPORTED]
    done = subprocess.run(
        command, cwd=tree, env=environment(tree), capture_output=True, text=True, check=False
    )
    files = [Path(line) for line in done.stdout.splitlines()]
    if done.returncode or not all(file.is_relative_to(tree) for file in files):
        raise Misfit(f"not imported from the copy: {done.stdout}{done.stderr}")
    return [str(file.relative_to(tree)) for file in files]
