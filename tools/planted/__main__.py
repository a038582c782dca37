"""Plant bugs and see the tests fail: `python -m tools.planted [NAME ...]`.

For each bug the tree is copied, the bug planted, what is compiled made anew if need be, and the
bug's tests run, until one fails. The same tests must pass without the bug. The exit code is 1 if a
bug survives, or anything else is not as it should be.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tools.planted.bug import Bug, Misfit
from tools.planted.bugs import BUGS
from tools.planted.table import table
from tools.planted.tree import copied, imported_from, make_good
from tools.planted.trial import Run, run

SOUND_LIMIT_S = 900.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one bug.

    Attributes:
        bug: Which.
        word: caught, SURVIVED, BROKEN (it could not be told), or skipped.
        by: The test that failed, or "".
        said: The first line of the failure, or what is wrong.
        seconds: How long it took.
    """

    bug: Bug
    word: str
    by: str
    said: str
    seconds: float

    @property
    def good(self) -> bool:
        """Whether nobody has to do anything."""
        return self.word in ("caught", "skipped")

    def __str__(self) -> str:
        return (
            f"{self.bug.name:<44} {self.word:<9} {self.seconds:6.1f} s  {self.by}\n    {self.said}"
        )


def without_bugs(bugs: Sequence[Bug]) -> dict[str, str]:
    """Run all tests of some bugs in a copy without any; return what is wrong with each test."""
    tests = sorted({test for bug in bugs for test in bug.tests})
    with tempfile.TemporaryDirectory(prefix="logstore-sound-") as place:
        tree = copied(Path(place))
        print("imported from the copy:", ", ".join(imported_from(tree)), flush=True)
        done = run(tree, tests, limit_s=SOUND_LIMIT_S, to_the_end=True)
    print(f"without a bug: {len(tests)} tests, {done.seconds:.0f} s", flush=True)
    if not done.outcomes:
        sys.exit(f"planted: no test could be run\n{done.output}")
    wrong: dict[str, str] = {}
    for test in tests:
        own = [one for one in done.outcomes if one.test == test or one.test.startswith(f"{test}[")]
        bad = [one for one in own if one.kind != "passed"]
        if not own:
            wrong[test] = "it was not run"
        elif bad:
            wrong[test] = f"{bad[0].kind}: {bad[0].said}"
    return wrong


def tried(bug: Bug, wrong: dict[str, str]) -> Verdict:
    """Plant one bug and run its tests."""
    began = time.monotonic()

    def verdict(word: str, by: str, said: str) -> Verdict:
        return Verdict(bug, word, by, said, time.monotonic() - began)

    for test in bug.tests:
        if test in wrong:
            word = "skipped" if wrong[test].startswith("skipped") else "BROKEN"
            return verdict(word, test, f"without the bug: {wrong[test]}")
    with tempfile.TemporaryDirectory(prefix="logstore-planted-") as place:
        try:
            tree = copied(Path(place))
            make_good(tree, bug.plant(tree))
            imported_from(tree)
        except Misfit as error:
            return verdict("BROKEN", "", str(error))
        done = run(tree, bug.tests)
    return verdict(*judged(done))


def judged(done: Run) -> tuple[str, str, str]:
    """Say what the tests' run means: word, test, why."""
    for one in done.outcomes:
        if one.catches:
            return "caught", one.test, one.said
    if done.code == 0:
        return "SURVIVED", "", "all its tests passed"
    for one in done.outcomes:
        if one.kind in ("failed", "error"):
            return "BROKEN", one.test, f"{one.kind}, but not by what the test tests: {one.said}"
    ended = "did not end in time" if done.code is None else f"ended with {done.code}"
    return "BROKEN", "", f"pytest {ended}: {done.output[-500:]}"


def chosen(names: Sequence[str]) -> list[Bug]:
    """Return the bugs that are named, or all."""
    known = {bug.name: bug for bug in BUGS}
    for name in names:
        if name not in known:
            sys.exit(f"planted: no bug {name!r}; --list shows them")
    return [known[name] for name in names] or list(BUGS)


def main() -> int:
    """Plant the chosen bugs, each in a copy of its own, and say what became of them."""
    parser = argparse.ArgumentParser(prog="python -m tools.planted", description="Plant bugs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="these bugs only")
    parser.add_argument("--list", action="store_true", help="list the bugs and end")
    parser.add_argument(
        "--table", action="store_true", help="print the table of tests/README.md and end"
    )
    parser.add_argument("--jobs", type=int, default=1, help="so many bugs at once")
    options = parser.parse_args()
    bugs = chosen(options.names)
    if options.table:
        print(table(bugs), end="")
        return 0
    if options.list:
        print("\n".join(f"{bug.name:<44} {bug.mistake}" for bug in bugs))
        return 0
    began = time.monotonic()
    wrong = without_bugs(bugs)
    verdicts = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for verdict in pool.map(lambda bug: tried(bug, wrong), bugs):
            print(verdict, flush=True)
            verdicts.append(verdict)
    counts = {word: sum(v.word == word for v in verdicts) for word in {v.word for v in verdicts}}
    told = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
    print(f"{len(bugs)} bugs: {told} ({time.monotonic() - began:.0f} s)")
    return 0 if all(verdict.good for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
