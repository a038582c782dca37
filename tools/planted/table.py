"""The table of planted bugs, as tests/README.md has it."""

from __future__ import annotations

from collections.abc import Sequence

from tools.planted.bug import Bug


def table(bugs: Sequence[Bug]) -> str:
    """Return the table, in Markdown."""
    lines = ["| planted bug | what is done wrong | caught by, in `tests/` |", "|---|---|---|"]
    for bug in bugs:
        tests = ", ".join(f"`{test.removeprefix('tests/')}`" for test in bug.tests)
        lines.append(f"| {bug.name} | {bug.mistake} | {tests} |")
    return "".join(f"{line}\n" for line in lines)
