"""Recovering a log and checking what must hold after every recovery."""

from __future__ import annotations

from functools import partial

import pytest

from logstore.errors import Corruption
from logstore.segments import manifest as manifests
from logstore.segments.footer import read_footer
from logstore.segments.recover import Recovered, recover
from logstore.segments.segment import segment_name
from tests.memory_directory import MemoryDirectory
from tests.segments.small_log import (
    SmallLog,
    contents,
    facts,
    read_all,
)


def empty_log() -> SmallLog:
    return SmallLog(MemoryDirectory())


def recovered_twice(log: SmallLog, *, trusted: bool = False, **proofs: int) -> Recovered:
    """Recover, check that everything is sealed, and that doing it again changes nothing."""
    recovers = partial(recover, log.directory, trusted=trusted, **proofs)
    recovered = recovers()
    manifest = recovered.manifest
    assert manifests.load(log.directory) == manifest
    assert (manifest.clean, manifest.active_base_lsn) == (False, None)
    for one in manifest.sealed:
        footer = read_footer(log.directory, segment_name(one.base_lsn))
        assert footer is not None
        assert (footer.end_lsn, footer.frames_digest) == (one.end_lsn, one.digest)
    if manifest.sealed:
        assert recovered.footer == read_footer(
            log.directory, segment_name(manifest.sealed[-1].base_lsn)
        )
    before = contents(log.directory)
    again = recovers()
    assert contents(log.directory) == before
    assert (again.manifest, again.end_lsn, again.footer, again.cut_bytes) == (
        manifest,
        recovered.end_lsn,
        recovered.footer,
        0,
    )
    return recovered


def refused(log: SmallLog, **proofs: int) -> Corruption:
    """Recover, and check that it refuses and touches nothing."""
    before = contents(log.directory)
    with pytest.raises(Corruption) as caught:
        recover(log.directory, trusted=False, **proofs)
    assert contents(log.directory) == before
    return caught.value


def readable(log: SmallLog, recovered: Recovered) -> list[tuple[int, int, bytes]]:
    return facts(read_all(log.directory, recovered.end_lsn))
