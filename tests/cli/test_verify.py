"""verify names the place of whatever is not as it was written; a torn tail is no damage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from logstore.files import Directory
from logstore.segments.footer import read_footer
from tests.cli.running import call, json_lines
from tests.segments.small_log import SmallLog, three_segments

HEADER = 4096


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SmallLog]:
    """Make a log of three segments, the last one active."""
    with Directory.open(tmp_path / "small", create=True) as directory:
        yield three_segments(directory)


def segments(log: SmallLog) -> list[Path]:
    return sorted(log.directory.path.glob("*.seg"))


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def test_a_sound_log_is_called_sound(log: SmallLog) -> None:
    result = call("verify", log.directory.path, "--json")
    assert result.exit_code == 0, result.output
    (summary,) = json_lines(result.stdout)
    assert summary["verdict"] == "sound"
    assert summary["segments"] == 3
    assert summary["records"] == 6
    assert summary["end_lsn"] == log.end_lsn


def swap(log: SmallLog) -> None:
    first, second = segments(log)[:2]
    first.rename(first.with_suffix(".x"))
    second.rename(first)
    first.with_suffix(".x").rename(second)


@pytest.mark.parametrize(
    ("damage", "segment", "offset"),
    [
        (lambda log: flip(segments(log)[0], HEADER + 33), 0, HEADER),
        (lambda log: flip(segments(log)[1], HEADER + 40 + 9), 1, HEADER + 40),
        (lambda log: flip(segments(log)[0], 100), 0, 0),
        (lambda log: flip(segments(log)[1], -1), 1, None),
        (lambda log: segments(log)[0].unlink(), 0, None),
        (lambda log: segments(log)[1].unlink(), 1, None),
        (lambda log: segments(log)[2].unlink(), 2, None),
        (swap, 0, None),
    ],
    ids=[
        "a bit of the first frame",
        "a bit of a later segment's second frame",
        "a bit of a header",
        "a bit of a footer",
        "a sealed segment is missing",
        "the newest sealed segment is missing",
        "the active segment is missing",
        "two segments change places",
    ],
)
def test_damage_is_found_with_its_place(
    log: SmallLog, damage: Callable[[SmallLog], None], segment: int, offset: int | None
) -> None:
    name = segments(log)[segment].name
    damage(log)
    result = call("verify", log.directory.path, "--json")
    assert result.exit_code == 4, result.output
    found = [part for part in json_lines(result.stdout) if part["type"] == "corrupt"]
    assert found[0]["segment"] == name
    if offset is not None:
        assert found[0]["offset"] == offset
    assert json_lines(result.stdout)[-1]["verdict"] == "corrupt"


def test_every_damaged_segment_is_named(log: SmallLog) -> None:
    for path in segments(log)[:2]:
        flip(path, HEADER + 33)
    lines = call("verify", log.directory.path).stdout.splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == ["corrupt", "corrupt"]
    assert "2 corrupt places" in lines[-1]


def test_a_damaged_manifest_is_corrupt(log: SmallLog) -> None:
    flip(log.directory.path / "MANIFEST", 5)
    assert call("verify", log.directory.path).exit_code == 4


def test_segments_without_a_manifest_are_corrupt(log: SmallLog) -> None:
    (log.directory.path / "MANIFEST").unlink()
    assert call("verify", log.directory.path).exit_code == 4


def test_a_damaged_manifest_does_not_hide_a_damaged_segment(log: SmallLog) -> None:
    flip(log.directory.path / "MANIFEST", 5)
    flip(segments(log)[1], HEADER + 33)
    found = json_lines(call("verify", log.directory.path, "--json").stdout)
    assert segments(log)[1].name in [part.get("segment") for part in found]


def test_a_torn_tail_is_told_and_is_no_corruption(log: SmallLog) -> None:
    path = log.directory.path / log.active
    with path.open("r+b") as file:
        file.seek(HEADER + log.end_lsn - int(path.stem))
        file.write(b"half a frame")
    result = call("verify", log.directory.path, "--json")
    assert result.exit_code == 0, result.output
    note, summary = json_lines(result.stdout)
    assert note["type"] == "note"
    assert "torn tail" in note["message"]
    assert note["lsn"] == log.end_lsn
    assert summary["verdict"] == "sound"


def test_a_footer_that_tells_something_else_is_corrupt(log: SmallLog) -> None:
    path = segments(log)[0]
    footer = read_footer(log.directory, path.name)
    assert footer is not None
    frames = path.read_bytes()[: HEADER + footer.end_lsn - footer.base_lsn]
    path.write_bytes(frames + replace(footer, record_count=3).encode())
    result = call("verify", log.directory.path)
    assert result.exit_code == 4
    assert "does not tell what the segment holds" in result.stdout
