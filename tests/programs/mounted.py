"""Try a log on file systems made for it: `unshare -m python -P -m tests.programs.mounted WHAT ...`.

Runs in a mount namespace of its own, so whatever is mounted here is gone with the last process of
it. Ends with 0 if everything held; else with a traceback of what did not.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import logstore
from logstore import DiskFull
from logstore.ring import region
from logstore.ring.layout import HEADER_SIZE
from tests.oracle import Oracle
from tests.programs.events import Reporter
from tests.programs.writer import payload_of
from tests.service import SHM, Service, until
from tests.writers import Writers

KIB: Final = 1 << 10
SHUTDOWN: Final = 0x8004587D
WITHOUT_FLUSHING: Final = struct.pack("I", 2)
RING: Final = 1 << 16


def mount(*arguments: str | Path) -> None:
    """Mount something; only this namespace sees it."""
    subprocess.run(["mount", *map(str, arguments)], check=True)


def tmpfs(path: Path, options: str) -> None:
    """Mount a small disk of memory."""
    path.mkdir(exist_ok=True)
    mount("-t", "tmpfs", "-o", options, "tmpfs", path)


@contextmanager
def served(service: Service) -> Iterator[Service]:
    """End a service after the block, whatever became of it."""
    try:
        yield service
    finally:
        service.clean_up()


class Filler:
    """One writer that appends until the disk is full."""

    def __init__(self, log: logstore.Log, oracle: Oracle) -> None:
        self.pipe = oracle.listen()
        self.report = Reporter(self.pipe, 1)
        self.log = log
        self.n = 0

    def append(self, size: int = 3000) -> None:
        """Append one record."""
        payload = payload_of(1, self.n + 1, size)
        self.report.issued(self.n + 1, [payload])
        self.n += 1
        lsn = self.log.append(payload, durability="written", timeout=10.0)
        self.report.acked(self.n, [lsn], "written")

    def fill(self) -> None:
        """Append until the disk is full; what is said must name it."""
        for _ in range(10000):
            try:
                self.append()
            except DiskFull as error:
                full = error
                break
        else:
            raise AssertionError("the disk is never full")
        assert full.errno == errno.ENOSPC
        assert full.path is not None

    def await_room(self) -> None:
        """Wait until the log goes on, by itself."""
        until(lambda: self.log.status().state == "running", "the log goes on", 10.0)


def growing(path: Path, first: int, last: int, step: int) -> None:
    """Fill a disk, give it a little more room, fill it again: one service lives through it all."""
    tmpfs(path, f"size={first}k")
    oracle = Oracle()
    with served(Service(path, path.name, {"segment_size": "32KiB", "ring_size": RING})) as service:
        service.start()
        with service.attach() as log:
            filler = Filler(log, oracle)
            for size in range(first, last, step):
                mount("-o", f"remount,size={size}k", path)
                filler.await_room() if size > first else None
                filler.fill()
            mount("-o", f"remount,size={last + 1024}k", path)
            filler.await_room()
            filler.append()
            log.sync(timeout=10.0)
        os.close(filler.pipe)
        assert service.stop() == 0
        service.start()
        oracle.until_all_told()
        oracle.check(service.read_all())
        assert "Traceback" not in service.messages(), service.messages()


def starting(path: Path, options: str) -> None:
    """Start on a disk that is too small for it; give it room; then it is a log like any other."""
    tmpfs(path, options)
    with served(Service(path, path.name, {"segment_size": "128KiB", "ring_size": RING})) as service:
        answer = service.try_start()
        assert answer is not None, service.messages()
        if answer:
            assert answer["error"] == "DiskFull", answer
            assert answer["errno"] == errno.ENOSPC
            assert answer["path"]
            assert not [entry for entry in SHM.iterdir() if path.name in entry.name]
            print("refused")
        else:
            with service.attach() as log:
                until(lambda: log.status().state == "full", "the log is full")
                log.append(b"in the ring")
            print("full")
        mount("-o", "remount,size=4m,nr_inodes=100", path)
        if answer:
            service.start()
        with service.attach() as log:
            until(lambda: log.status().state == "running", "the log goes on")
            log.append(b"with room", durability="synced", timeout=10.0)
            records = [record.payload for record in log.read()]
            assert records == ([b"with room"] if answer else [b"in the ring", b"with room"])
            assert log.status().state == "running"
        assert service.stop() == 0
        assert "Traceback" not in service.messages(), service.messages()


def without_memory(path: Path, pages: int) -> None:
    """Start with a /dev/shm that is short of so many pages of what is needed, or has them."""
    needed = (HEADER_SIZE + RING + 4095) // 4096
    tmpfs(SHM, f"size={(needed + pages) * 4}k")
    with served(Service(path, path.name, {"ring_size": RING})) as service:
        answer = service.try_start()
        assert answer is not None, service.messages()
        assert "Traceback" not in service.messages(), service.messages()
        if answer:
            assert answer["error"] == "SharedMemoryFull", answer
            assert answer["errno"] == errno.ENOSPC
            assert not list(SHM.iterdir())
            print("refused")
            return
        with service.attach() as log:
            for _ in range(200):
                log.append(b"x" * 1000)  # every byte of the ring is used
            log.sync(timeout=10.0)
        assert service.stop() == 0
        print("served")


def cut(path: Path, image: Path, kind: str, cuts: int) -> None:
    """Cut a real file system off its disk under load, again and again; what was synced is there."""
    options = "loop"
    path.mkdir()
    oracle = Oracle()
    writers = Writers(oracle)
    service = Service(path, path.name, {"segment_size": "64KiB", "ring_size": RING})
    try:
        for number in range(cuts + 1):
            mount("-t", kind, "-o", options, image, path)
            data = Service(path / "log", path.name, service.options)
            data.path.mkdir(exist_ok=True)
            service = data
            data.start()
            found = oracle.check(data.read_all(), spared=("synced",))
            oracle.forget_absences()
            # What is lost now was not synced, and may never come back.
            oracle.fates = {key: fate for key, fate in oracle.fates.items() if key in found}
            if number == cuts:
                assert data.stop() == 0
                break
            load(writers, data, number)
            pulled_ns = pull_the_plug(path)
            writers.kill()
            data.kill_all()
            oracle.until_all_told()
            for fate in oracle.fates.values():
                # Nobody hears an ack once the power is gone, but here the processes live on, and
                # an fdatasync that is under way may return 0 although its bytes are lost.
                if fate.acked_ns >= pulled_ns:
                    fate.acked = None
            region.unlink(data.name)
            subprocess.run(["umount", path], check=True)
    finally:
        writers.clean_up()
        service.clean_up()


def load(writers: Writers, service: Service, number: int) -> None:
    """Start two writers and wait for a number of records that differs from cut to cut."""
    kinds = (["--durability", "synced", "--sizes", "0-900"], ["--batch", "3", "--sync-every", "5"])
    for flags in kinds:
        started = writers.start(service.name, *flags)
        writers.oracle.until_acked(started, 20 + number * 7 % 60, 30.0)


def pull_the_plug(path: Path) -> int:
    """Shut a file system down without writing anything more of it; return when it began, in ns."""
    fd = os.open(path, os.O_RDONLY)
    try:
        pulled_ns = time.monotonic_ns()
        fcntl.ioctl(fd, SHUTDOWN, WITHOUT_FLUSHING)
    finally:
        os.close(fd)
    return pulled_ns


def main(argv: list[str]) -> int:
    """Run one trial."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["growing", "starting", "memory", "cut"])
    parser.add_argument("path", type=Path, help="of the data directory; its name is the log's")
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args(argv)
    path, rest = options.path, options.arguments
    if options.what == "growing":
        growing(path, *map(int, rest))
    elif options.what == "starting":
        starting(path, rest[0])
    elif options.what == "memory":
        without_memory(path, int(rest[0]))
    else:
        cut(path, Path(rest[0]), rest[1], int(rest[2]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
