"""What one hold on old segments hands over to the next stays, whenever compaction looks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import pytest

import logstore
from logstore.files import Directory
from logstore.pins import Orphans, verdicts_on
from logstore.ring.liveness import PLACES
from logstore.segments import manifest as manifests
from logstore.segments.catalog import Catalog
from logstore.segments.needed import Reason
from logstore.segments.voided import VoidedParts
from tests.conftest import Serve
from tests.service import until

pytestmark = pytest.mark.process


class _HandsOver(Orphans):
    """Begins to read when compaction has looked at which transactions are open."""

    def __init__(self, log: logstore.Log) -> None:
        super().__init__()
        self._log = log
        self.reader: Iterator[logstore.Record] | None = None

    def abort(self, catalog: Catalog, found: Collection[int], over_lsn: int, synced: int) -> None:
        super().abort(catalog, found, over_lsn, synced)
        self.reader = self._log.read()
        next(self.reader)


def sealed_in(directory: Directory) -> Sequence[object]:
    """Return what the manifest says is sealed."""
    manifest = manifests.load(directory)
    return () if manifest is None else manifest.sealed


def test_a_reader_is_seen_that_begins_while_compaction_looks_at_transactions(
    serve: Serve,
) -> None:
    service = serve(ring_size=1 << 18, segment_size=1 << 16)
    with service.attach() as log:
        group = log.group("orders")
        for _ in range(20):
            group.append_many([b"x" * 64] * 100)
        assert log._client.duties.take(PLACES)  # the committer does not compact meanwhile
        group.checkpoint(up_to=2000)
        log.sync()
        directory = Directory.open(service.path, create=False)
        voided = VoidedParts(directory, log._client.identity.uuid)
        until(lambda: len(sealed_in(directory)) > 1, "two segments are sealed")
        manifest = manifests.load(directory)
        assert manifest is not None
        hands_over = _HandsOver(log)
        verdicts, _ = verdicts_on(log._client, directory, manifest, voided, hands_over)
        directory.close()
        log._client.duties.give_back(PLACES)
    assert {verdict.holds[0].reason for verdict in verdicts if verdict.holds} >= {Reason.PIN}
    assert all(verdict.holds for verdict in verdicts)
