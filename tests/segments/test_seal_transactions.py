"""Sealing segments full of transactions: as much work as for plain records, counted, not timed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from logstore.format import Kind
from logstore.payloads import Commit, encode_commit, encode_part
from logstore.segments.catalog import Catalog
from logstore.segments.catalog_sections import catalog_of
from tests.memory_directory import MemoryDirectory
from tests.segments.small_log import SmallLog

RECORDS = 4000


def plain(log: SmallLog) -> None:
    """Append plain records."""
    for _ in range(RECORDS):
        log.put(b"x" * 40)


def tiny(log: SmallLog) -> None:
    """Append transactions of two parts, two at a time, that take turns."""
    for _ in range(RECORDS // 4):
        one, other = log.end_lsn, log.end_lsn + 72
        last = [log.put(encode_part(n, b"x" * 32), kind=Kind.TXN_PART) for n in (one, other) * 2]
        for number, last_lsn in ((one, last[2]), (other, last[3])):
            log.put(encode_commit(Commit(number, last_lsn, 2)), kind=Kind.TXN_COMMIT)


def sealed(fill: Callable[[SmallLog], None]) -> tuple[SmallLog, Counter[str], list[str]]:
    """Seal a segment; return how often each call reached the disk, and each call on the catalog."""
    directory = MemoryDirectory()
    log = SmallLog(directory, segment_size=1 << 20)
    log.begin()
    fill(log)
    calls: Counter[str] = Counter()
    directory.fault = lambda call: calls.update([call])
    changes: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("apply", "apply_parts", "apply_part_set", "begin"):
            _count(patch, name, changes)
        log.seal(named=False)
    return log, calls, changes


def _count(patch: pytest.MonkeyPatch, name: str, changes: list[str]) -> None:
    real = getattr(Catalog, name)

    def counted(*arguments: object) -> object:
        changes.append(name)
        return real(*arguments)

    patch.setattr(Catalog, name, counted)


def test_transactions_that_begin_and_commit_there_cost_nothing_more() -> None:
    _, plain_calls, plain_changes = sealed(plain)
    log, calls, changes = sealed(tiny)
    assert changes == plain_changes == []
    assert calls == plain_calls
    assert log.footer is not None
    assert log.footer.record_count == RECORDS
    assert log.footer.groups[0].last_seq == RECORDS
    assert log.footer.others == ()


def test_a_transaction_that_stays_open_costs_a_few_calls_however_many_parts_it_has() -> None:
    def long(log: SmallLog) -> None:
        first = log.end_lsn
        for number in range(RECORDS):
            log.put(encode_part(first, b"x" * 32), kind=Kind.TXN_PART)
            if number % 3 == 0:
                log.put(b"between")

    log, calls, changes = sealed(long)
    assert changes == ["begin", "apply_part_set"]
    assert calls["open_write"] == 1
    assert log.footer is not None
    one = catalog_of(log.footer).open[4096]
    assert one.part_count == one.seqs[0].count == RECORDS
    assert one.seqs[0].range_count == RECORDS // 3 + 1
