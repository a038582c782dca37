"""Disks that fail under real processes: a sync that fails once and a disk that is sound afterwards,
calls that a signal interrupts, and errors in each role's own process."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

import logstore
from logstore import DiskFull, LogstoreError, PermissionDenied, ReadFailed, SyncFailed
from logstore.segments.segment import bases_of
from tests import strace
from tests.conftest import Serve
from tests.oracle import Oracle
from tests.programs import faulty_calls
from tests.programs.events import Reporter
from tests.programs.writer import payload_of
from tests.service import Service, ended

pytestmark = pytest.mark.crash

INTERRUPTED = "openat,pread64,preadv,pwrite64,fdatasync,fsync,ftruncate,fallocate,read,write"


class Loader:
    """One writer in the test itself."""

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle
        self.pipe = oracle.listen()
        self.report = Reporter(self.pipe, 1)
        self.n = 0

    def append(self, log: logstore.Log, size: int = 400) -> None:
        """Append a record and wait until it is durable."""
        payload = payload_of(1, self.n + 1, size)
        self.report.issued(self.n + 1, [payload])
        self.n += 1
        lsn = log.append(payload, timeout=10.0)
        self.report.acked(self.n, [lsn], "ring")
        log.wait(lsn, "synced", timeout=10.0)
        self.report.acked(self.n, [lsn], "synced")

    def until_failed(self, log: logstore.Log) -> SyncFailed:
        """Append until the log has failed."""
        for _ in range(2000):
            try:
                self.append(log)
            except SyncFailed as error:
                return error
        raise AssertionError("nothing fails")

    def end(self) -> None:
        """Report no more."""
        os.close(self.pipe)
        self.oracle.until_all_told()


def stays_failed(service: Service, loader: Loader, failing: str) -> None:
    """Check that the log stays failed whoever is started anew, until it has been recovered."""
    with service.attach() as log:
        error = loader.until_failed(log)
        assert error.errno == errno.EIO
        assert error.path is not None
        # A failure of the committer does not end a sync that is under way, and that may go well.
        synced = {log.watermarks().synced} if failing == "syncer" else set()
        for role in ("syncer", "committer"):
            service.until_restarted(role, service.kill(role))
            with pytest.raises(SyncFailed):
                loader.append(log)
            synced.add(log.watermarks().synced)
        assert len(synced) == 1
    assert service.stop() == 1
    service.environment = {}
    service.start()
    with service.attach() as log:
        loader.append(log)
    loader.end()
    loader.oracle.check(service.read_all())
    assert "Traceback" not in service.messages(), service.messages()


@strace.needs_strace
@pytest.mark.parametrize(
    "when", [3, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 4, 5, 7, 11, 20, 37))]
)
def test_a_sync_that_the_kernel_refuses_once_is_never_believed_again(
    when: int, serve: Serve, oracle: Oracle, tmp_path: Path
) -> None:
    service = serve(segment_size=1 << 14, ring_size=1 << 16)
    failing = f"fdatasync:error=EIO:when={when}"
    with strace.failing(service.pid("syncer"), failing, tmp_path / "strace"):
        loader = Loader(oracle)
        with service.attach() as log:
            loader.until_failed(log)
    stays_failed(service, loader, "syncer")


def broken(
    tree: Path, role: str, kinds: str, after: int, number: int, times: int
) -> dict[str, str]:
    """Return the environment in which a role's calls fail."""
    tree.mkdir()
    shutil.copy(faulty_calls.__file__, tree / "sitecustomize.py")
    once = tree / "once"
    once.touch()
    return {
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LOGSTORE_FAULT": f"{kinds} {after} {number} {times}",
        "LOGSTORE_FAULT_ROLE": role,
        "LOGSTORE_FAULT_ONCE": str(once),
    }


@pytest.mark.parametrize(
    ("role", "after"),
    [
        ("syncer", 5),
        ("committer", 12),
        *(pytest.param("syncer", n, marks=pytest.mark.slow) for n in (0, 1, 9, 40)),
        *(pytest.param("committer", n, marks=pytest.mark.slow) for n in (2, 3, 7, 13, 14)),
    ],
)
def test_a_sync_that_fails_once_in_a_worker_is_never_believed_again(
    role: str, after: int, serve: Serve, oracle: Oracle, tmp_path: Path
) -> None:
    service = serve(
        environment=broken(tmp_path / "tree", role, "sync", after, errno.EIO, 1),
        segment_size=1 << 14,
        ring_size=1 << 16,
    )
    stays_failed(service, Loader(oracle), role)


ANY = "open,read,write,sync,name,look,size,mode"
SAMPLE = [
    (role, number, after)
    for role in ("supervisor", "committer", "syncer")
    for number in (errno.EIO, errno.EACCES, errno.EMFILE, errno.ENOSPC, errno.EDQUOT)
    for after in (0, 2, 5, 11, 17, 29)
]


@pytest.mark.parametrize(
    ("role", "number", "after"),
    [
        pytest.param(*one, marks=() if one[1:] == (errno.EIO, 5) else pytest.mark.slow)
        for one in SAMPLE
    ],
)
def test_a_process_whose_every_call_fails_from_some_time_on_says_so_and_loses_nothing(
    role: str, number: int, after: int, clean_place: Path, oracle: Oracle, tmp_path: Path
) -> None:
    environment = broken(tmp_path / "tree", role, ANY, after, number, 0)
    options: dict[str, object] = {"segment_size": 1 << 14, "ring_size": 1 << 16}
    service = Service(clean_place, clean_place.name, options, environment)
    try:
        fails(service, number, oracle)
    finally:
        service.clean_up()


def fails(service: Service, number: int, oracle: Oracle) -> None:
    """Use a service as long as it works, and then start it on a sound disk."""
    answer = service.try_start()
    assert answer is not None, service.messages()
    loader = Loader(oracle)
    if answer:
        assert issubclass(getattr(logstore, str(answer["error"])), LogstoreError), answer
        assert answer["errno"] == number
    else:
        use(service, loader)
        service.stop()
    assert "Traceback" not in service.messages(), service.messages()
    service.environment = {}
    service.start()
    loader.end()
    oracle.check(service.read_all())


def use(service: Service, loader: Loader) -> None:
    """Append until it works no more; whatever is said must be documented."""
    allowed = (SyncFailed, DiskFull, ReadFailed, PermissionDenied, logstore.NotRunning)
    with suppress(*allowed, logstore.Timeout, logstore.RingFull), service.attach() as log:
        for _ in range(100):
            loader.append(log)


@strace.needs_strace
def test_calls_that_a_signal_interrupts_are_made_again(
    serve: Serve, oracle: Oracle, tmp_path: Path
) -> None:
    service = serve(segment_size=1 << 14, ring_size=1 << 16)
    loader = Loader(oracle)
    often = f"{INTERRUPTED}:error=EINTR:when=1+3"
    with (
        strace.failing(service.pid("syncer"), often, tmp_path / "syncer"),
        strace.failing(service.pid("committer"), often, tmp_path / "committer"),
        strace.failing(service.pid("supervisor"), often, tmp_path / "supervisor"),
        service.attach() as log,
    ):
        for _ in range(100):
            loader.append(log)
        assert log.status().state == "running"
    assert len(bases_of(path.name for path in service.path.glob("*.seg"))) > 2
    pidfd = os.pidfd_open(service.pid("committer"))
    with strace.failing(service.pid("committer"), often, tmp_path / "stopping"):
        assert service.stop() == 0
        assert ended(pidfd, 5.0)
    os.close(pidfd)
    service.start()
    loader.end()
    oracle.check(service.read_all())
    assert "Traceback" not in service.messages(), service.messages()
