"""Kills at random moments, of anybody or of everybody, over and over on one log."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from logstore import LogstoreError
from logstore.status import Status
from tests.conftest import Serve
from tests.oracle import Oracle
from tests.service import Service
from tests.writers import Writers

pytestmark = pytest.mark.crash

FAST = 50
SLOW = int(os.environ.get("LOGSTORE_TEST_KILLS", "1000"))  # a soak run asks for 10,000
LOGS = 20  # that the slow run spreads its kills over: reading all of a long log takes a while
VICTIMS = {  # and how often: all at once takes the longest
    "supervisor": 2,
    "committer": 3,
    "syncer": 3,
    "committer and syncer": 2,
    "writer": 3,
    "writer and committer": 2,
    "everybody": 1,
}
GOES_ON_S = 10.0  # 2 s on a machine that does nothing else
PATIENCE_S = 60.0  # without any ack, between two kills
KINDS = (
    ["--durability", "synced"],
    ["--durability", "written", "--sizes", "0-3000"],
    ["--batch", "9", "--sizes", "0-500", "--sync-every", "4"],
    ["--reserve", "--sizes", "0,1,8000", "--sync-every", "8"],
)


class Driver:
    """One log under random kills; every choice comes from the seed."""

    def __init__(self, service: Service, writers: Writers, seed: int) -> None:
        self.service = service
        self.writers = writers
        self.oracle = writers.oracle
        self.random = random.Random(seed)
        self.alive: list[int] = []
        self.history: list[str] = []

    def man(self) -> None:
        """Start writers until there is one of each kind."""
        while len(self.alive) < len(KINDS):
            kind = KINDS[len(self.alive)]
            flags = [*kind, "--seed", str(self.random.randrange(1000))]
            self.alive.append(self.writers.start(self.service.name, *flags))
        for writer in self.alive:
            self.oracle.until_acked_at_last(writer, 5, PATIENCE_S)

    def round(self) -> None:
        """Let some records through, then kill somebody."""
        self.man()
        busiest = max(self.alive, key=lambda writer: len(self.oracle.acks_ns[writer]))
        acks = len(self.oracle.acks_ns[busiest]) + self.random.randrange(300)
        self.oracle.until_acked_at_last(busiest, acks, PATIENCE_S)
        (choice,) = self.random.choices([*VICTIMS], [*VICTIMS.values()])
        self.history.append(choice)
        self._kills()[choice]()

    def _kills(self) -> dict[str, Callable[[], None]]:
        return {
            "supervisor": self._supervisor,
            "committer": lambda: self._workers("committer"),
            "syncer": lambda: self._workers("syncer"),
            "committer and syncer": lambda: self._workers("committer", "syncer"),
            "writer": self._writer,
            "writer and committer": self._writer_and_committer,
            "everybody": self._everybody,
        }

    def _goes_on(self, since_ns: int) -> None:
        self.oracle.until_acked_after(self.alive, since_ns, GOES_ON_S)

    def _workers(self, *roles: str) -> None:
        since_ns = time.monotonic_ns()
        for role, pid in [(role, self.service.kill(role)) for role in roles]:
            self.service.until_restarted(role, pid)
        self._goes_on(since_ns)

    def _supervisor(self) -> None:
        since_ns = time.monotonic_ns()
        self.service.kill("supervisor")
        self._goes_on(since_ns)
        self.service.start()

    def _writer(self) -> None:
        since_ns = time.monotonic_ns()
        victim = self.alive.pop(self.random.randrange(len(self.alive)))
        self.writers.kill(victim)
        self._goes_on(since_ns)

    def _writer_and_committer(self) -> None:
        since_ns = time.monotonic_ns()
        self.writers.kill(self.alive.pop())
        self.service.until_restarted("committer", self.service.kill("committer"))
        self._goes_on(since_ns)

    def _everybody(self) -> None:
        self.writers.kill(*self.alive)
        self.alive = []
        self.service.kill_all()
        self.oracle.until_all_told()
        self.service.start()
        self.oracle.forget_absences()
        self.oracle.check(self.service.read_all())

    def described(self) -> str:
        """Say how the log and its writers are, for whoever looks into a failure."""
        acks = {writer: len(self.oracle.acks_ns.get(writer, ())) for writer in self.alive}
        told: Status | LogstoreError
        try:
            with self.service.attach() as log:
                told = log.status()
        except LogstoreError as error:
            told = error
        messages = self.service.messages()[-3000:]
        return f"acks: {acks}; {told}\n{self._asleep()}\n{messages}"

    def _asleep(self) -> str:
        """Say where in the kernel the threads of the workers are: a hang may be the disk's."""
        found = []
        for role in ("committer", "syncer"):
            for task in Path(f"/proc/{self.service.pid(role)}/task").glob("*"):
                words = [(task / name).read_text().strip() for name in ("comm", "wchan", "syscall")]
                found.append(" ".join([role, task.name, *words]))
        return "\n".join(found)

    def end(self) -> None:
        """Stop, and judge; then twice more, after a crash and after a clean stop."""
        self.writers.stop(*self.alive)
        self.oracle.until_all_told()
        self.oracle.forget_absences()
        self.oracle.check(self.service.read_all())
        self.service.kill_all()
        self.service.start()
        self.oracle.check(self.service.read_all())
        assert self.service.stop() == 0
        self.service.start()
        self.oracle.check(self.service.read_all())


def run(rounds: int, service: Service, writers: Writers, seed: int) -> None:
    """Run so many rounds, and tell what was killed if one fails."""
    driver = Driver(service, writers, seed)
    try:
        for _ in range(rounds):
            driver.round()
        driver.end()
    except BaseException as error:
        error.add_note(f"seed {seed}, killed: {', '.join(driver.history)}")
        error.add_note(driver.described())
        raise


def test_fifty_random_kills_lose_nothing(
    serve: Serve, writers: Writers, oracle: Oracle, seed: int
) -> None:
    run(FAST, serve(ring_size=1 << 17, segment_size=1 << 17), writers, seed)


@pytest.mark.slow
@pytest.mark.timeout(max(900, 2 * SLOW))
@pytest.mark.parametrize("number", range(LOGS))
def test_many_random_kills_lose_nothing(
    number: int, serve: Serve, writers: Writers, oracle: Oracle, seed: int
) -> None:
    small = number % 2 == 0
    service = serve(ring_size=1 << (16 if small else 22), segment_size=1 << (14 if small else 18))
    run(SLOW // LOGS, service, writers, seed + number)
