"""Check that imports go strictly downward: `python tools/floors.py [root]`.

Every module of `logstore` belongs to a room, every room stands on a floor, and a module may import
from its own room and from rooms on lower floors only. Two rooms on one floor (`ring` and
`segments`) therefore never import each other.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "logstore"

# Modules that stand directly in logstore/ and are not named here are faces: what users touch.
FACES = "faces"
FLOORS = {
    "errors": 0,
    "lsn": 0,
    "timeouts": 1,
    "points": 0,
    "frames": 1,
    "files": 1,
    "disk_errors": 1,
    "format": 2,
    "options": 2,
    "payloads": 2,
    "ring": 3,
    "segments": 3,
    FACES: 4,
    "workers": 5,
    "cli": 6,
}
# errors.py and lsn.py are two files of one small room.
ONE_ROOM = {"lsn": "errors"}

# A library for the terminal has no place below the command line.
ONLY_IN = {"click": "cli", "rich": "cli"}


@dataclass(frozen=True, slots=True)
class Violation:
    """One import that goes up or sideways, with its place."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def module_paths(root: Path) -> dict[str, Path]:
    """Map every module name of the package to its file; `workers/` counts as logstore.workers."""
    modules: dict[str, Path] = {}
    for top, prefix in ((root / PACKAGE, (PACKAGE,)), (root / "workers", (PACKAGE, "workers"))):
        for path in sorted(top.rglob("*.py")):
            parts = path.relative_to(top).with_suffix("").parts
            if prefix == (PACKAGE,) and parts[0] == "workers":
                continue  # seen through the symlink
            if parts[-1] == "__init__":
                parts = parts[:-1]
            modules[".".join(prefix + parts)] = path
    return modules


def room_of(module: str) -> str:
    """Name the room of a module; the package itself and unnamed modules in it are faces."""
    parts = module.split(".")
    room = parts[1] if len(parts) > 1 and parts[1] in FLOORS else FACES
    return ONE_ROOM.get(room, room)


def imported_names(tree: ast.Module, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Yield (line, absolute dotted name) for every import in the module, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                kept = len(parts) - node.level + (1 if is_package else 0)
                base = ".".join([*parts[:kept], *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def target_of(name: str, modules: dict[str, Path]) -> str:
    """Cut an imported name to its module: `logstore.lsn.FIRST_LSN` comes from `logstore.lsn`."""
    parts = name.split(".")
    for length in range(len(parts), 1, -1):
        candidate = ".".join(parts[:length])
        # A compiled module has no .py file; its room is known all the same.
        if candidate in modules or (length == 2 and parts[1] in FLOORS):
            return candidate
    return parts[0]


def check_import(module: str, name: str, modules: dict[str, Path]) -> str | None:
    """Say what is wrong with `module` importing `name`, or return None."""
    room = room_of(module)
    top = name.split(".")[0]
    if top in ONLY_IN and room != ONLY_IN[top]:
        return f"{module} imports {top}, which only {ONLY_IN[top]} may"
    if top == "workers":
        return f"{module} imports top-level workers; its name is {PACKAGE}.workers"
    if top != PACKAGE:
        return None
    target = target_of(name, modules)
    other = room_of(target)
    if other == room or FLOORS[other] < FLOORS[room]:
        return None
    way = "sideways" if FLOORS[other] == FLOORS[room] else "upward"
    return (
        f"{module} ({room}, floor {FLOORS[room]}) imports {way}: "
        f"{target} ({other}, floor {FLOORS[other]})"
    )


def violations(root: Path) -> list[Violation]:
    """Check every module of the package under `root`."""
    modules = module_paths(root)
    found: list[Violation] = []
    for module, path in modules.items():
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        for line, name in imported_names(tree, module, path.name == "__init__.py"):
            message = check_import(module, name, modules)
            if message is not None and message not in {v.message for v in found if v.path == path}:
                found.append(Violation(path.relative_to(root), line, message))
    return found


def main(arguments: list[str]) -> int:
    """Print every violation; 1 if there is one."""
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    found = violations(root)
    for violation in found:
        print(violation)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
