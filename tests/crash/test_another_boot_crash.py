"""What another boot, another process with the pid of a dead one, or another clock looks like."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from logstore.ring._ring import LAYOUT
from logstore.ring.layout import client_offset
from tests.conftest import Serve
from tests.service import ROOT, environment

pytestmark = pytest.mark.crash

ANOTHER_BOOT = """
import sys
from pathlib import Path
import logstore
from tests.service import Service
service = Service(Path(sys.argv[1]), sys.argv[2])
service.start()
try:
    with service.attach() as log:
        assert log.status().epoch == 2
        log.append(b"in this boot", durability="synced", timeout=10)
        print([bytes(record.payload) for record in log.read()])
finally:
    service.stop()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount over boot_id")
def test_a_region_of_another_boot_is_discarded_and_the_files_are_recovered(
    serve: Serve, tmp_path: Path
) -> None:
    service = serve()
    with service.attach() as log:
        log.append(b"before", durability="synced")
    service.kill_all()
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("01234567-89ab-cdef-0123-456789abcdef\n")
    mount = f'mount --bind {boot_id} /proc/sys/kernel/random/boot_id && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", mount, "sh", sys.executable, "-P", "-c", ANOTHER_BOOT]
    done = subprocess.run(
        [*command, str(service.path), service.name],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[b'before', b'in this boot']"
    assert "of another boot" in service.messages()


def test_a_dead_owner_is_dead_though_another_process_has_its_pid(serve: Serve) -> None:
    service = serve()
    with service.attach() as log:
        dead = service.attach()
        index = dead._client.index
        token = dead._client.ring.token
        dead.close()
        # The entry now names a process that lives: this one.
        log._ring.store(client_offset(index, "pid"), os.getpid())
        log._ring.store(LAYOUT["owner"], token)
        assert log.append(b"goes on", durability="synced", timeout=2)
        assert log.status().counters["repairs"] == 1
