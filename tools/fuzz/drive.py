"""Drive one target with atheris: run by __main__.py, in a tree whose C is built for it.

`python -m tools.fuzz.drive TARGET [libFuzzer's arguments]`
"""

from __future__ import annotations

import sys

import atheris

# What is imported within is rewritten to tell which of its branches are taken. The second decoders
# are not: only the code under test guides the search.
with atheris.instrument_imports(include=["logstore"]):
    from tests.hostile.targets import TARGETS


def main(argv: list[str]) -> None:
    """Fuzz until the time is over, or something is found."""
    program, name, *arguments = argv
    atheris.Setup([program, *arguments], TARGETS[name].run)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
