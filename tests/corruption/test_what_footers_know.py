"""Frames that say something about other records, lost to damage: the footers behind them know."""

from __future__ import annotations

import pytest

from logstore.format import Kind
from logstore.payloads import (
    CheckpointRanges,
    Interval,
    decode_revert,
    encode_checkpoint,
    encode_revert,
)
from logstore.segments.catalog import Catalog
from logstore.segments.catalog_sections import catalog_of
from logstore.segments.mending import repair
from logstore.segments.reader import SegmentReader
from logstore.segments.recover import recover
from tests.corruption.judging import verified
from tests.memory_directory import MemoryDirectory
from tests.segments.small_log import UUID, SmallLog, change

GROUP = 1
REVERTS = 1 << Kind.REVERT


def log_with_meaning(*, sealed: bool) -> tuple[SmallLog, int, int, Catalog]:
    """Make a log whose first segment names a group, checkpoints a record and reverts two."""
    log = SmallLog(MemoryDirectory())
    log.begin()
    log.put(b"one")
    first = log.put(b"orders", kind=Kind.GROUP_NAME, group=GROUP)
    hidden = log.put(b"two", group=GROUP)
    payload = encode_checkpoint(CheckpointRanges(((1, 1),)))
    log.put(payload, kind=Kind.CHECKPOINT, group=GROUP)
    log.put(encode_revert([Interval(0xFFFFFFFF, hidden, 0)]), kind=Kind.REVERT)
    last = log.end_lsn
    log.put(b"three", group=GROUP)
    log.seal()
    meaning = catalog_of(log.footer)
    log.begin()
    log.put(b"four")
    if sealed:
        log.seal()
    return log, first, last, meaning


@pytest.mark.parametrize("sealed", [False, True])
def test_names_checkpoints_and_reverts_outlive_their_frames(sealed: bool) -> None:
    log, first, last, meaning = log_with_meaning(sealed=sealed)
    assert meaning.groups[GROUP].name == "orders"
    assert meaning.hidden
    change(log.directory, "00000000000000004096.seg", first, bytes(last - first))
    done = repair(log.directory)
    assert done.plan.lost_records == {"orders": 1}
    recovered = recover(log.directory)
    kept = catalog_of(recovered.footer)
    assert kept.groups[GROUP].name == "orders"
    assert kept.checkpointed(GROUP).covers(1, 1)
    assert kept.hidden[: len(meaning.hidden)] == meaning.hidden
    assert all(one.from_lsn == one.until_lsn for one in kept.hidden[len(meaning.hidden) :])
    # Whoever attaches looks the newest revert up.
    with SegmentReader(log.directory, UUID) as reader:
        names = recovered.footer.names() if recovered.footer else []
        found = reader.load(kept.newest_revert_lsn, recovered.end_lsn, names, kinds=REVERTS)
    assert decode_revert(found.payload, found.lsn) == kept.hidden
    assert isinstance(log.directory, MemoryDirectory)
    assert not verified(log.directory).corrupt
