"""What the log means is read from its newest files, which may be dropped while they are read."""

from __future__ import annotations

import pytest

import logstore
from tests.conftest import Serve
from tests.service import Service, until

pytestmark = pytest.mark.process

SEGMENT = 1 << 16
RECORD = bytes(SEGMENT // 8)


def fill(group: logstore.Group, segments: int) -> None:
    """Append so much that so many segments are begun; checkpoint all of it."""
    for _ in range(segments * 8):
        last = group.append(RECORD, durability="written")
    group.checkpoint(up_to=group.status().appended)
    group.log.wait(last)


def names(service: Service) -> list[str]:
    """Return the names of all segments."""
    return sorted(path.name for path in service.path.glob("*.seg"))


@pytest.mark.parametrize("moment", ["after the limit", "after the listing"])
def test_a_groups_status_is_right_although_its_newest_footer_is_dropped_meanwhile(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    service = serve(ring_size=1 << 18, segment_size=SEGMENT)
    with service.attach() as log, service.attach() as other:
        group, busy = log.group("orders"), other.group("orders")
        fill(busy, 3)
        until(lambda: len(names(service)) >= 3, "three segments")
        directory = log._reading.raw.directory
        list_names = directory.names
        listed = 0

        def drop_meanwhile(folder: str = ".") -> list[str]:
            nonlocal listed
            listed += 1
            if listed > 1:
                return list_names(folder)
            before = names(service)
            if moment == "after the limit":
                drop(before)
                return list_names(folder)
            found = list_names(folder)
            drop(before)
            return found

        def drop(before: list[str]) -> None:
            fill(busy, 3)
            until(lambda: len(set(names(service)) - set(before)) >= 3, "three more segments")

            def all_gone() -> bool:
                other.compact(timeout=10)
                return not set(before) & set(names(service))

            until(all_gone, "what there was is dropped")

        monkeypatch.setattr(directory, "names", drop_meanwhile)
        status = group.status()
        assert listed > 1
        assert (status.appended, status.checkpointed, status.pending) == (48, 48, 0)
