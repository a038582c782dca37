"""Try a log on a real file system whose disk fails once and is sound afterwards.

`unshare -m python -P -m tests.programs.sick_disk PATH STORE NUMBER ENDING`: STORE has an ext4 file
system; its disk refuses the first write that has record NUMBER in it. Then everybody is stopped,
killed, or cut off the disk (ENDING). Ends with 0 if everything held.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import logstore
from logstore import SyncFailed
from logstore.ring import region
from tests.oracle import ALL_LEVELS, Oracle
from tests.programs.events import Reporter
from tests.programs.mounted import mount, pull_the_plug
from tests.programs.writer import payload_of
from tests.service import Service

SIZE: Final = 400
OPTIONS: Final[dict[str, object]] = {"segment_size": 1 << 14, "ring_size": 1 << 16}


class Appender:
    """One writer that waits for the disk."""

    def __init__(self, oracle: Oracle) -> None:
        self.pipe = oracle.listen()
        self.report = Reporter(self.pipe, 1)
        self.n = 0

    def append(self, log: logstore.Log) -> None:
        """Append one record and wait until it is durable."""
        self.n += 1
        payload = payload_of(1, self.n, SIZE)
        self.report.issued(self.n, [payload])
        lsn = log.append(payload, timeout=10.0)
        self.report.acked(self.n, [lsn], "ring")
        log.wait(lsn, "synced", timeout=10.0)
        self.report.acked(self.n, [lsn], "synced")

    def is_refused(self, log: logstore.Log) -> SyncFailed:
        """Append, which must fail; return the error."""
        try:
            self.append(log)
        except SyncFailed as error:
            return error
        raise AssertionError(f"record {self.n} is called synced")


@contextmanager
def failing_file(place: Path, store: Path, mark: bytes) -> Iterator[None]:
    """Mount a file that fails for the block; see `fuse_file`."""
    place.touch()
    command = [sys.executable, "-P", "-m", "tests.programs.fuse_file"]
    command += [str(place), str(store), mark.hex()]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        try:
            yield
        finally:
            subprocess.run(["umount", place], check=True)
            assert server.wait(10.0) == 0


def fail(service: Service, appender: Appender, number: int) -> None:
    """Append until the disk fails; from then on nothing is synced, whoever is started anew."""
    with service.attach() as log:
        while appender.n < number - 1:
            appender.append(log)
        error = appender.is_refused(log)
        assert error.errno == errno.EIO, error
        assert error.path is not None
        synced = log.watermarks().synced  # of a clock reading, it may be, that came just before
        for role in ("syncer", "committer"):
            service.until_restarted(role, service.kill(role))
            appender.is_refused(log)
            assert log.watermarks().synced == synced
    assert "Traceback" not in service.messages(), service.messages()


def end(service: Service, ending: str) -> None:
    """End all processes, or cut them off the disk, which is a power loss to what is on it."""
    if ending == "stop":
        assert service.stop() == 1
        return
    if ending == "cut":
        pull_the_plug(service.path.parent)
    service.kill_all()
    if ending == "cut":
        region.unlink(service.name)


def live(path: Path, file: Path, number: int, ending: str) -> None:
    """Fail, end, recover, and look once more at what is on the disk and not in the page cache."""
    oracle = Oracle()
    appender = Appender(oracle)
    service = Service(path / "log", path.name, OPTIONS)
    mount("-o", "loop", file, path)
    try:
        service.path.mkdir()
        service.start()
        fail(service, appender, number)
        end(service, ending)
        if ending == "cut":
            subprocess.run(["umount", path], check=True)
            mount("-o", "loop", file, path)
        service.start()
        with service.attach() as log:
            appender.append(log)
        os.close(appender.pipe)
        oracle.until_all_told()
        records = service.read_all()
        oracle.check(records, spared=("synced",) if ending == "cut" else ALL_LEVELS)
        assert service.stop() == 0
        subprocess.run(["umount", path], check=True)
        mount("-o", "loop", file, path)
        service.start()
        assert service.read_all() == records
        assert service.stop() == 0
    finally:
        service.clean_up()
        subprocess.run(["umount", path], check=True)


def main(argv: list[str]) -> int:
    """Run one trial."""
    path, store, number, ending = Path(argv[0]), Path(argv[1]), int(argv[2]), argv[3]
    path.mkdir()
    file = store.with_suffix(".disk")
    with failing_file(file, store, payload_of(1, number, SIZE)[:SIZE]):
        live(path, file, number, ending)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
