"""Every parser, on valid bytes that were changed: the answer of a second, independent decoder.

The same targets as `python -m tools.fuzz` drives for longer, guided by coverage.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hostile.targets import TARGETS, Target

NUMBERS = [0, 1, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63, 2**64 - 1]
bits = st.tuples(st.just("flip"), st.integers(0, 400), st.integers(0, 7))
numbers = st.sampled_from(NUMBERS).map(lambda number: number.to_bytes(8, "little"))
pieces = st.one_of(st.binary(min_size=1, max_size=12), numbers, numbers.map(lambda n: n[:4]))
changes = st.lists(
    st.one_of(
        bits,
        st.tuples(st.sampled_from(["overwrite", "insert"]), st.integers(0, 400), pieces),
        st.tuples(st.sampled_from(["remove", "repeat"]), st.integers(0, 400), st.integers(1, 80)),
        st.tuples(st.just("splice"), st.integers(0, 400), st.integers(0, 100)),
    ),
    min_size=1,
    max_size=4,
)
Change = tuple[str, int, int | bytes]


def changed(seeds: list[bytes], which: int, edits: list[Change]) -> bytes:
    """Change an input: `at` counts from its start, beyond its end from the end."""
    data = bytearray(seeds[which % len(seeds)])
    for action, at, what in edits:
        at = at if at <= len(data) else len(data) - at % (len(data) + 1)
        if isinstance(what, bytes):
            data[at : at if action == "insert" else at + len(what)] = what
        elif action == "flip" and at < len(data):
            data[at] ^= 1 << what
        elif action == "remove":
            del data[at : at + what]
        elif action == "repeat":
            data[at:at] = data[at : at + what]
        elif action == "splice":
            data[at:] = seeds[what % len(seeds)][at:]
    return bytes(data)


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_what_is_valid_is_judged_as_the_second_decoder_does(target: Target) -> None:
    for seed in target.seeds():
        target.run(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_changed_bytes_are_judged_as_the_second_decoder_does(name: str) -> None:
    target = TARGETS[name]
    seeds = target.seeds()

    @settings(max_examples=150)
    @given(st.integers(0, len(seeds) - 1), changes)
    def run(which: int, edits: list[Change]) -> None:
        target.run(changed(seeds, which, edits))

    run()


FOUND = sorted((Path(__file__).parent / "findings").glob("*/*"))


@pytest.mark.parametrize("path", FOUND, ids=[f"{path.parent.name}-{path.name}" for path in FOUND])
def test_what_was_found_once_is_not_found_again(path: Path) -> None:
    TARGETS[path.parent.name].run(path.read_bytes())


@pytest.mark.parametrize("name", ["scan", "find", "survey", "ring"])
def test_parsing_keeps_no_memory(name: str) -> None:
    target = TARGETS[name]
    inputs = [seed[:cut] for seed in target.seeds() for cut in (len(seed), len(seed) - 9)]
    usage = []
    for rounds in (40, 40, 120):
        for _ in range(rounds):
            for data in inputs:
                target.run(data)
        usage.append(int(Path("/proc/self/statm").read_text().split()[1]))
    # So much would be 40 bytes for each input.
    assert usage[2] - usage[1] <= 120 * len(inputs) * 40 // 4096 + 16, usage


def test_any_input_at_all_is_taken() -> None:
    for target in TARGETS.values():
        for data in (b"", b"\0", b"\1", b"\xff" * 20, bytes(300)):
            target.run(data)
