"""What the simulator has found, each case by itself."""

from __future__ import annotations

import random
from dataclasses import replace

from logstore.segments import manifest as manifests
from logstore.segments.recover import recover
from tests.power.disk import Disk, Possibilities
from tests.power.images import choices
from tests.power.judging import directory_of
from tests.power.profiles import BY_NAME
from tests.power.recording import EMPTY, RecordedMemory
from tests.segments.small_log import SmallLog


def test_a_manifest_is_never_there_before_the_segments_that_it_names() -> None:
    directory = RecordedMemory.of(EMPTY)
    log = SmallLog(directory)
    log.begin(named=False)
    log.put(b"one")
    directory.sync()
    log.seal(named=False)
    manifests.save(directory, log.manifest)
    log.begin(named=False)
    begun = len(directory.trace.ops)
    manifests.save(directory, replace(log.manifest, active_base_lsn=log.end_lsn))
    disk = Disk(directory.trace)
    for index, op in enumerate(directory.trace.ops):
        disk.apply(index, op)
        if index >= begun:
            possible = Possibilities(disk, BY_NAME["weak"], 0)
            for choice in choices(possible.counts, possible.newest(), rng=random.Random(0)):
                recover(directory_of(possible.image(choice)))
