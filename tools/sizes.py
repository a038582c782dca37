"""Check that no module is over 300 lines and no function over 60: `python tools/sizes.py [root]`.

A long file is a plan that is missing. C is left out: its functions are short by review.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

MODULE_LINES = 300
FUNCTION_LINES = 60
ROOMS = ("logstore", "workers", "tests", "tools")


def python_files(root: Path) -> list[Path]:
    """List the project's Python files once each (rglob does not follow the workers symlink)."""
    return sorted(path for room in ROOMS for path in (root / room).rglob("*.py"))


def oversized(root: Path) -> list[str]:
    """Name every module and function that is too long, with its place and length."""
    found: list[str] = []
    for path in python_files(root):
        source = path.read_text(encoding="utf-8")
        place = path.relative_to(root)
        line_count = source.count("\n")
        if line_count > MODULE_LINES:
            found.append(f"{place}:1: module has {line_count} lines, at most {MODULE_LINES}")
        for node in ast.walk(ast.parse(source, filename=str(path))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    found.append(
                        f"{place}:{node.lineno}: {node.name} has {length} lines, "
                        f"at most {FUNCTION_LINES}"
                    )
    return found


def main(arguments: list[str]) -> int:
    """Print everything that is too long; 1 if something is."""
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    found = oversized(root)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
