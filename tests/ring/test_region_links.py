"""A link in a region's place is never followed, however good the region is that it leads to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from logstore import Corruption, InUse
from logstore.ring import region
from tests.ring.bench import Bench, identity_of
from tests.service import SHM


@pytest.mark.parametrize("read_only", [False, True])
def test_a_link_to_a_good_region_is_not_followed(
    read_only: bool, bench: Bench, tmp_path: Path
) -> None:
    name = bench.path.name
    memory = SHM / f"logstore.{name}"
    target = Path(shutil.copy(memory, tmp_path / "target"))
    memory.unlink()
    memory.symlink_to(target)
    with pytest.raises(Corruption, match="not a shared-memory object"):
        region.attach(name, read_only=read_only)
    with pytest.raises(InUse):
        region.create(identity_of(bench.path), start_lsn=4096, head_lsn=4096)
    assert target.exists()
