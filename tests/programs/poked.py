"""Change bytes of a region and see what a log does: `python -P -m tests.programs.poked DIR MODE`.

One log is set up with records at every stage. For each poke (an offset, what to do to the byte
there) a fork of this process changes the byte and uses the log; then all is put back. MODE says
how: "live" goes on with what is attached, "adopt" starts service and workers over the region,
"start" does so after everybody has died.

Prints one line for each poke that is neither harmless nor told, last the number of pokes. What may
happen: an error of a documented class. What may not: a crash, a hang, another exception, a change
to a record that was durable before.
"""

from __future__ import annotations

import argparse
import faulthandler
import mmap
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import logstore
from logstore import handle
from logstore.cli.files_alone import FilesAlone
from logstore.files import Directory
from logstore.options import Options
from logstore.ring import liveness, region
from logstore.ring.client import Client
from logstore.ring.layout import COMMITTER, SYNCER, State
from logstore.workers import startup
from logstore.workers.committer import Committer
from logstore.workers.syncer import Syncer
from tests.programs.poking import Poke, pokes_of

HANG_S: Final = 20
STEPS: Final = 12
SHM: Final = Path("/dev/shm")
Rows = list[tuple[int, bytes]]


class Subject:
    """One log, run step by step in this process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.verbose = False
        self.name = path.name
        options = Options(ring_size=1 << 16, segment_size=1 << 16, sync_interval_s=0.0)
        self.options = options
        self.directory = Directory.open(path, create=True)
        self.lock = liveness.LockFile(path, mode=0o600)
        assert self.lock.take(0)
        self.started = startup.start(self.directory, self.lock, options, self.name)
        self.committer, self.syncer = self.workers()
        self.started.client.ring.set_state(State.RUNNING)
        self.log = logstore.attach(self.name)
        self.durable = self.fill()
        self.committer.begin().chores.finish()
        self.files = path.parent / f"{path.name}.files"
        shutil.copytree(path, self.files)
        self.memory = self.map()
        self.bytes = bytes(self.memory)

    def workers(self) -> tuple[Committer, Syncer]:
        """Attach both workers."""
        committer = Committer(Client(self.name, role=COMMITTER))
        return committer, Syncer(Client(self.name, role=SYNCER))

    def fill(self) -> Rows:
        """Leave records that are durable, written, published; return those that are durable."""
        log = self.log
        for number in range(30):
            log.append(b"durable %d" % number)
        log.group("orders").append_many([b"one", b"two"])
        with log.transaction() as transaction:
            transaction.append(b"part")
        self.step(self.committer, self.syncer)
        durable = rows_of(log)
        log.status()  # so that what it imports is imported once, and not in every fork
        log.append(b"written")
        self.step(self.committer)
        self.open = log.transaction()
        self.open.append(b"open")
        log.append(b"published")
        return durable

    def step(self, *workers: Committer | Syncer) -> None:
        """Let workers do what there is to do, in turn; a worker that never ends is cut short."""
        for _ in range(STEPS):
            worked = [worker.step() for worker in workers]
            if not any(worked):
                break

    def map(self) -> mmap.mmap:
        """Map the region, to change it."""
        with (SHM / f"logstore.{self.name}").open("r+b") as file:
            return mmap.mmap(file.fileno(), 0)

    def restore(self) -> None:
        """Put region and files back to what they were."""
        if self.memory[:] != self.bytes:
            self.memory[:] = self.bytes
        for entry in self.path.iterdir():
            if entry.name == liveness.NAME:
                continue  # it is empty, and our locks are in it
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        for entry in self.files.iterdir():
            if entry.name != liveness.NAME:
                shutil.copy(entry, self.path / entry.name)

    # What is tried, in a fork.

    def live(self) -> None:
        """Go on with what is attached, and attach once more."""
        for use in (self.use_old, self.use_new):
            try:
                use()
            except logstore.LogstoreError as error:
                self.told(error)
        self.step(self.committer, self.syncer)
        self.look_at_durable()

    def use_old(self) -> None:
        """Use the handle that there was before."""
        log = self.log
        try:
            log.append(b"more", timeout=0.0)
            self.open.append(b"more", timeout=0.0)
            self.open.commit()
        finally:
            self.step(self.committer, self.syncer)
            log.status()
        list(log.read(durability="ring"))
        log.groups()

    def use_new(self) -> None:
        """Attach, and use that."""
        self.step(self.committer, self.syncer)
        with logstore.attach(self.name) as log:
            lsn = log.append(b"new", timeout=0.0)
            log.group("orders").append(b"new", timeout=0.0)
            self.step(self.committer, self.syncer)
            log.wait(lsn, "synced", timeout=0.0)
            assert log.load(lsn).payload == b"new", "acknowledged as durable, and not there"
        with logstore.attach(self.name, read_only=True) as log:
            log.status()
            list(log.read())

    def told(self, error: logstore.LogstoreError) -> None:
        """Take note of an error that says what is wrong."""
        if self.verbose:
            print(f"told: {type(error).__name__}: {error}", flush=True)

    def look_at_durable(self) -> None:
        """Compare what was durable, from the files alone."""
        files = FilesAlone.open(self.path)
        found = {record.lsn: bytes(record.payload) for record in files.read()}
        for lsn, payload in self.durable:
            assert found.get(lsn) == payload, f"the durable record at {lsn} is {found.get(lsn)!r}"

    def start(self) -> None:
        """Start a service and its workers over what is there."""
        directory = Directory.open(self.path, create=False)
        lock = liveness.LockFile(self.path)
        try:
            assert lock.take(0)
            startup.start(directory, lock, self.options, None)
            committer, syncer = self.workers()
            self.step(committer, syncer)
            self.step(committer, syncer)
        except logstore.LogstoreError as error:
            self.told(error)
        self.look_at_durable()


def rows_of(log: logstore.Log) -> Rows:
    """Read what is durable."""
    return [(record.lsn, bytes(record.payload)) for record in log.read()]


def attempt(subject: Subject, poke: Poke, act: str, errors: int) -> int:
    """Poke and act in a fork; return how it ended. A byte that stays as it is needs no fork."""
    if not poke.apply(subject.memory):
        return 0
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    faulthandler.dump_traceback_later(HANG_S - 1)
    signal.alarm(HANG_S)
    try:
        getattr(subject, act)()
    except BaseException:  # noqa: BLE001 (whatever it is, it is told)
        os.ftruncate(errors, 0)
        os.pwrite(errors, traceback.format_exc().encode(), 0)
        os._exit(3)
    os._exit(0)


def leave(subject: Subject, mode: str) -> None:
    """Close whatever this process holds, as far as the mode wants; the region stays."""
    subject.committer.close()
    subject.syncer.close()
    subject.lock.close()
    subject.started.client.close()
    if mode == "start":
        subject.log.close()


def run(path: Path, mode: str, pokes: Iterator[Poke], verbose: bool) -> int:
    """Try all pokes; return how many were neither harmless nor told."""
    subject = Subject(path)
    subject.verbose = verbose
    bad = count = 0
    act = "live" if mode == "live" else "start"
    errors = os.memfd_create("errors")
    # A log handle in a fork would attach anew, which is another client: use the parent's.
    handle._handles.clear()
    if mode != "live":
        leave(subject, mode)
        subject.bytes = bytes(subject.memory)
    try:
        for poke in pokes:
            count += 1
            code = attempt(subject, poke, act, errors)
            if code:
                bad += 1
                said = os.pread(errors, 100_000, 0).decode() if code == 3 else f"exit {code}"
                print(f"BAD {mode} {poke}: {said}", flush=True)
            subject.restore()
    finally:
        region.unlink(subject.name)
    print(f"{count} pokes")
    return bad


def main(argv: list[str]) -> int:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("mode", choices=["live", "adopt", "start"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, help="a sample of so many; all if not given")
    parser.add_argument("--only", help="OFFSET:KIND, to repeat one")
    parser.add_argument("--part", default="0/1", help="NUMBER/COUNT: one of so many parts of all")
    options = parser.parse_args(argv)
    os.fsync = os.fdatasync = lambda fd: None  # no power fails here
    number, parts = map(int, options.part.split("/"))
    pokes = pokes_of(options.count, options.seed, options.only, (number, parts))
    return int(run(options.directory, options.mode, pokes, options.only is not None) != 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
