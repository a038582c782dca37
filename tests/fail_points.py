"""A copy of the package in which named points end the process, for children to import."""

from __future__ import annotations

import compileall
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.service import ROOT, until
from tools.building import command_for, extensions

PROGRAMS: Final = ROOT / "tests" / "programs"
IN_GUARD: Final = (
    "guard.token",
    "guard.release",
    "guard.released",
    "reserve.intent",
    "reserve.header",
    "reserve.head",
)
IN_FLIGHT: Final = ("fill.begin", "fill.copied", "publish.word")
"""The points of an append, in order: inside the guard, then with the record in flight."""

_C_POINT: Final = re.compile(r'LS_POINT\("([a-z.]+)"\)')
_PYTHON_POINT: Final = re.compile(r'\bpoint\("([a-z.]+)"\)')


def points_in_c() -> set[str]:
    """Return the names of all points in the ring's sources."""
    files = (ROOT / "logstore" / "ring").glob("*.c")
    return {name for file in files for name in _C_POINT.findall(file.read_text())}


def points_in_python() -> set[str]:
    """Return the names of all points in the package's Python modules."""
    files = [*(ROOT / "logstore").rglob("*.py"), *(ROOT / "workers").rglob("*.py")]
    return {name for file in files for name in _PYTHON_POINT.findall(file.read_text())}


@dataclass(frozen=True, slots=True)
class FailPoints:
    """The armed copy of the package."""

    tree: Path

    def arm(
        self, name: str, *, role: str | None = None, once: Path | None = None
    ) -> dict[str, str]:
        """Return the environment in which a process dies at a point.

        Args:
            name: The point, or "point:n" for the n-th arrival.
            role: Only processes that run this module are meant; None means every one.
            once: Only one process, the one that removes this file, dies.
        """
        armed = {"PYTHONPATH": str(self.tree), "PYTHONDONTWRITEBYTECODE": "1"}
        if role is None:
            armed["LOGSTORE_FAIL_POINT"] = name
        else:
            armed |= {"LOGSTORE_FAIL_ROLE": role, "LOGSTORE_FAIL_NAME": name}
        if once is not None:
            once.touch()
            armed["LOGSTORE_FAIL_ONCE"] = str(once)
        return armed


def until_fired(once: Path, timeout_s: float = 20.0) -> None:
    """Wait until a process has reached its point."""
    until(lambda: not once.exists(), "a process reached its fail point", timeout_s)


def build(tree: Path) -> FailPoints:
    """Copy the package to `tree` and compile the ring there with its points armed."""
    ignored = shutil.ignore_patterns("__pycache__", "_ring*.so")
    shutil.copytree(ROOT / "logstore", tree / "logstore", ignore=ignored)
    shutil.copy(PROGRAMS / "armed_points.py", tree / "logstore" / "points.py")
    shutil.copy(PROGRAMS / "aim.py", tree / "sitecustomize.py")
    (module,) = [one for one in extensions() if one["name"] == "logstore.ring._ring"]
    target = tree / "logstore" / "ring" / "_ring.abi3.so"
    command = command_for(module, target, ["-DLOGSTORE_FAIL_POINTS", "-Werror"])
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stderr}"
    assert compileall.compile_dir(tree, quiet=1)  # or each process would do so again
    return FailPoints(tree)
