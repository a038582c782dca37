"""A writer publishes its record and is gone, between the committer's look at the frame and its look
at the owner: the record was acknowledged, and stays."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Final

import psutil
import pytest

from tests.conftest import Serve
from tests.fail_points import FailPoints, until_fired
from tests.service import until

pytestmark = pytest.mark.crash

BLOCKED: Final = ("drain.blocked",)


def test_what_is_published_after_the_committers_look_is_kept_though_its_owner_is_dead(
    serve: Serve, armed: FailPoints, tmp_path: Path
) -> None:
    once = tmp_path / "once"
    stop = {"LOGSTORE_FAIL_SIGNAL": str(int(signal.SIGSTOP))}
    service = serve(environment=armed.arm(BLOCKED[0], role="committer", once=once) | stop)
    committer = psutil.Process(service.pid("committer"))
    writer = service.attach()
    with service.attach() as log:
        with writer.reserve(9) as reservation:
            log.append(b"behind it")
            until_fired(once)
            until(lambda: committer.status() == "stopped", "the committer has looked at the frame")
            reservation.buffer[:] = b"published"
        writer.close()
        os.kill(committer.pid, signal.SIGCONT)
        log.sync(timeout=5.0)
        assert [record.payload for record in log.read()] == [b"published", b"behind it"]
        assert log.status().counters["aborts"] == 0
