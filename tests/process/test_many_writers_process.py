"""Several processes attach by name and append; everything is read back, also after a clean stop."""

from __future__ import annotations

from pathlib import Path

import pytest

import logstore
from tests.conftest import Serve
from tests.oracle import Oracle
from tests.writers import Writers

pytestmark = pytest.mark.process

WRITERS = 4
COUNT = 50_000
MIB = 1 << 20


def test_four_processes_append_50000_records_each_and_all_of_it_is_read_back_in_order(
    serve: Serve, writers: Writers, oracle: Oracle
) -> None:
    service = serve(segment_size=MIB)
    for _ in range(WRITERS):
        writers.start(service.name, "--count", str(COUNT), "--sizes", "64", "--wait-last")
    for writer in range(1, WRITERS + 1):
        writers.expect(writer, 0)
    oracle.until_all_told()
    with service.attach() as log:
        before = list(log.read())
        watermarks = log.watermarks()
    found = oracle.check(before)
    assert len(found) == len(before) == WRITERS * COUNT
    assert [record.seq for record in before] == list(range(1, WRITERS * COUNT + 1))
    assert watermarks.synced > before[-1].lsn
    assert len(list(service.path.glob("*.seg"))) >= WRITERS * COUNT * 96 // MIB

    assert service.stop() == 0
    service.start()
    assert service.read_all() == before
    oracle.check(before)


def test_a_log_stopped_cleanly_has_its_records_for_a_reader_that_opens_it_anew(
    clean_place: Path,
) -> None:
    with logstore.open(clean_place, segment_size="64 KiB") as log:
        lsns = [log.append(b"%d" % n * 50) for n in range(2000)]
        log.sync(timeout=10)
    with logstore.open(clean_place) as log:
        assert [record.lsn for record in log.read()] == lsns
        assert log.load(lsns[1000]).payload == b"1000" * 50
        assert log.append(b"more") > lsns[-1]
