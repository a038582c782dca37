"""The independent verifier works out from frames alone what footers say of their meaning."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstore.files import Directory
from logstore.payloads import EVERY_GROUP, CheckpointCommands
from logstore.segments.fold import catalog_at
from logstore.segments.footer import CHECKPOINTS, REVERTS, TRANSACTIONS, Section, read_footer
from logstore.segments.needed import Looks, compaction, judge
from logstore.segments.search import Finder
from logstore.segments.segment import segment_name
from logstore.segments.voided import VoidedParts
from tests.memory_directory import MemoryDirectory
from tests.segments.catalog_model import LogModel
from tests.segments.small_log import UUID, SmallLog, contents, cut
from tests.segments.test_catalog_model import random_log
from tools.verify_directory import Verifier


@contextmanager
def written(directory: Directory) -> Iterator[Path]:
    """Write a directory that is only in memory to a real one."""
    with tempfile.TemporaryDirectory() as name:
        for file, data in contents(directory).items():
            (Path(name) / file).write_bytes(data)
        yield Path(name)


def findings(directory: Directory) -> list[str]:
    with written(directory) as path:
        verifier = Verifier(path)
        verifier.run()
    return verifier.log.findings


def compact(model: LogModel) -> None:
    """Drop what nobody needs, also from the middle."""
    log = model.log
    names = [segment_name(one.base_lsn) for one in log.manifest.sealed]
    footers = [footer for name in names if (footer := read_footer(log.directory, name))]
    finder = Finder(log.directory, UUID, lambda: log.end_lsn)
    looks = Looks(finder.first_seq_from, VoidedParts(log.directory, UUID).between)
    catalog = catalog_at(log.directory, UUID, log.end_lsn)
    done = compaction(log.manifest, judge(footers, catalog, [], looks))
    for one in done.dropped:
        log.directory.unlink(segment_name(one.base_lsn))
    log.save(sealed=done.manifest.sealed, start_lsn=done.manifest.start_lsn)


@given(st.data())
def test_any_sound_log_has_no_findings_and_still_none_after_compaction(data: st.DataObject) -> None:
    model = random_log(data, 80)
    assert findings(model.log.directory) == []
    compact(model)
    assert findings(model.log.directory) == []


def two_segments() -> SmallLog:
    """Make a log whose second segment has all sections."""
    log = SmallLog(MemoryDirectory())
    log.begin()
    model = LogModel(log)
    old = model.part(0, 1)
    model.data(0)
    model.rotate(0)
    model.data(0)
    model.commit(old)
    model.checkpoint(0, ((1, 1),))
    model.commands(1, CheckpointCommands(1, 2, ((0, 0),), ((1, 2),)))
    model.revert(EVERY_GROUP, 4096)
    model.part(0, 1)
    log.seal()
    return log


@pytest.mark.parametrize("kind", [CHECKPOINTS, TRANSACTIONS, REVERTS])
@pytest.mark.parametrize("how", ["missing", "other"])
def test_a_section_that_does_not_say_what_frames_say_is_found(kind: int, how: str) -> None:
    log = two_segments()
    assert findings(log.directory) == []
    footer = log.footer
    assert footer is not None
    others: list[Section] = []
    for section in footer.others:
        if section.type != kind:
            others.append(section)
        elif how == "other":
            changed = bytearray(section.data)
            changed[-8] ^= 1  # in the last number, whatever it is
            others.append(section._replace(data=bytes(changed)))
    assert len(others) >= len(footer.others) - 1
    wrong = replace(footer, others=tuple(others)).encode()
    offset = 4096 + footer.end_lsn - footer.base_lsn
    cut(log.directory, log.active, offset)
    fd = log.directory.open_write(log.active)
    log.directory.write(fd, wrong, offset)
    log.directory.close_file(fd)
    assert any(f"section {kind}" in finding for finding in findings(log.directory))


def test_a_dropped_segment_that_is_still_there_is_no_damage() -> None:
    log = two_segments()
    log.begin()
    first, second = log.manifest.sealed
    log.save(sealed=(second,), start_lsn=second.base_lsn)
    assert findings(log.directory) == []
    log.directory.unlink(segment_name(first.base_lsn))
    assert findings(log.directory) == []
