"""Copies of the source tree, and its compiled modules without pip: in any tree, with any flags."""

from __future__ import annotations

import os
import shlex
import shutil
import sysconfig
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COMPILER = shlex.split(os.environ.get("CC", "cc"))
COMPILED = "*.so"
_LEFT_OUT = (
    ".git",
    ".venv",
    "build",
    "dist",
    "*.egg-info",
    "__pycache__",
    ".*_cache",
    ".hypothesis",
    ".fuzz",
)


def copy_tree(target: Path, *left_out: str) -> None:
    """Copy the source tree, but for what is made from it and files of these patterns."""
    ignored = shutil.ignore_patterns(*_LEFT_OUT, *left_out)
    shutil.copytree(ROOT, target, symlinks=True, ignore=ignored, dirs_exist_ok=True)


def extensions() -> list[dict[str, Any]]:
    """Read what pyproject.toml says of the compiled modules."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    modules: list[dict[str, Any]] = settings["tool"]["setuptools"]["ext-modules"]
    return modules


def target_of(module: dict[str, Any]) -> str:
    """Return where in a source tree a compiled module lies."""
    return str(module["name"]).replace(".", "/") + ".abi3.so"


def depends_on(module: dict[str, Any], name: str) -> bool:
    """Tell whether a file of the tree is one of a module's sources or headers."""
    return name in module["sources"] or name in module.get("depends", ())


def command_for(
    module: dict[str, Any],
    target: Path,
    flags: Sequence[str] = (),
    compiler: Sequence[str] = COMPILER,
) -> list[str]:
    """Return the command that compiles a module to `target`, to be run in the sources' tree."""
    defines = [f"-D{name}={value}" for name, value in module.get("define-macros", [])]
    includes = [f"-I{path}" for path in module.get("include-dirs", [])]
    command = [*compiler, *module.get("extra-compile-args", []), "-fPIC", "-shared", *flags]
    command += [*defines, *includes, "-I" + sysconfig.get_path("include"), *module["sources"]]
    return [*command, "-o", str(target), *(f"-l{name}" for name in module.get("libraries", []))]
