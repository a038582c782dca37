"""What happens when a dead process's pid belongs to another one that lives, case by case.

Run as the first process of a pid namespace, where pids can be chosen:
`unshare -p -f --mount-proc python -P -m tests.programs.pid_reuse CASE DIRECTORY ARMED_TREE`.
An assertion that fails is the exit code.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import logstore
from logstore.ring.layout import State, client_offset, index_of
from tests.fail_points import IN_FLIGHT, IN_GUARD, FailPoints
from tests.service import ROLES, Service, environment, until

AT_ONCE_S: Final = 1.0
LAST_PID: Final = Path("/proc/sys/kernel/ns_last_pid")
WRITER: Final = "import logstore, sys; logstore.attach(sys.argv[1]).append(b'unfinished')"
HOLDER: Final = """
import signal, sys, logstore
log = logstore.attach(sys.argv[1])
{}
print(flush=True)
signal.pause()
"""

taken: Final[list[subprocess.Popen[bytes]]] = []


def take_pid(pid: int, *command: str) -> subprocess.Popen[bytes]:
    """Start a process that has exactly this pid, whose last owner is gone."""
    for _ in range(200):
        LAST_PID.write_text(str(pid - 1))
        process = subprocess.Popen(
            command or ["sleep", "600"], env=environment(), stdout=subprocess.PIPE
        )
        taken.append(process)
        if process.pid == pid:
            return process
        process.kill()
        process.wait()
    raise AssertionError(f"pid {pid} is not to be had")


def nothing_was_taken_from_the_living() -> None:
    """Check that whoever has a dead process's pid lives on."""
    living = [process for process in taken if process.poll() is None]
    assert living, "nobody has the pid"
    for process in living:
        process.kill()
        process.wait()


class Case:
    """One log, and what its cases have in common."""

    def __init__(self, path: Path, armed: FailPoints) -> None:
        self.armed = armed
        self.service = Service(path, path.name).start()

    def dies(self, point: str) -> int:
        """Let a writer die at a point; return the pid that it had and that is free now."""
        command = [sys.executable, "-P", "-c", WRITER, self.service.name]
        process = subprocess.Popen(command, env=environment(self.armed.arm(point)))
        assert process.wait(20) == -signal.SIGKILL
        return process.pid

    def holder(self, what: str) -> subprocess.Popen[bytes]:
        """Start a process that does something to the log and then only lives."""
        command = [sys.executable, "-P", "-c", HOLDER.format(what), self.service.name]
        process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        return process

    def role_dies(self, role: str) -> int:
        """Kill a worker whose supervisor is dead, and so a child of ours; return the free pid."""
        pid = self.service.kill(role)
        os.waitpid(pid, 0)
        return pid

    def goes_on(self, log: logstore.Log | None = None) -> None:
        """Check that a record is durable at once.

        Where the dead one's place is not to be taken anew, `log` was attached before it died.
        """
        with contextlib.nullcontext(log) if log else self.service.attach() as attached:
            attached.append(b"goes on", durability="synced", timeout=AT_ONCE_S)


def guard(case: Case, point: str) -> None:
    """A writer dies in or around the guard; the supervisor looks when its pid is another's."""
    with case.service.attach() as log:
        case.service.send("supervisor", signal.SIGSTOP)
        take_pid(case.dies(point))
        case.service.send("supervisor", signal.SIGCONT)
        case.goes_on(log)


def repairer(case: Case) -> None:
    """A writer dies while it repairs what a dead one left; both pids are others'."""
    with case.service.attach() as log:
        case.service.send("supervisor", signal.SIGSTOP)
        take_pid(case.dies("reserve.head"))
        take_pid(case.dies("repair.redone"))
        case.goes_on(log)
        case.service.send("supervisor", signal.SIGCONT)


def flight(case: Case, point: str) -> None:
    """A writer dies with a record in flight; the committer looks when its pid is another's."""
    with case.service.attach() as log:
        case.service.send("committer", signal.SIGSTOP)
        take_pid(case.dies(point))
        case.service.send("committer", signal.SIGCONT)
        case.goes_on(log)
        assert log.status().counters["aborts"] == 1
        assert [record.payload for record in log.read()] == [b"goes on"]


def heir(case: Case) -> None:
    """The next client has the dead one's pid and its place in the table, but not its record."""
    case.service.send("committer", signal.SIGSTOP)
    pid = case.dies("fill.copied")
    command = [sys.executable, "-P", "-c", HOLDER.format("log.append(b'heir')"), case.service.name]
    new = take_pid(pid, *command)
    assert new.stdout is not None
    assert new.stdout.readline() == b"\n"
    case.service.send("committer", signal.SIGCONT)
    case.goes_on()
    with case.service.attach() as log:
        ring = log._ring
        found = [c.index for c in log.status().clients if c.pid == pid]
        assert found == [index_of(ring.token) - 1], "it has the first free place, that of the dead"
        assert ring.load(client_offset(found[0], "generation")) == 2
        assert [record.payload for record in log.read()] == [b"heir", b"goes on"]


def cursor(case: Case) -> None:
    """The holder of a cursor is dead: the cursor is free, and nobody is named as its holder."""
    process = case.holder("own = log.cursor('c')")
    with case.service.attach() as log:
        assert [one.holder for one in log.cursors()] == [process.pid]
        process.kill()
        process.wait()
        take_pid(process.pid)
        assert [one.holder for one in log.cursors()] == [None]
        log.cursor("c").close()


def transaction(case: Case) -> None:
    """The owner of a transaction is dead: it comes to nothing, and pins nothing."""
    with case.service.attach() as log:
        process = case.holder("t = log.transaction(); t.append(b'part')")
        process.kill()
        process.wait()
        take_pid(process.pid)
        case.goes_on(log)
        assert not [pin for pin in log.pins() if "transaction" in pin.why + pin.who]
        assert [record.payload for record in log.read()] == [b"goes on"]


def worker(case: Case, role: str) -> None:
    """A worker is dead when a new supervisor comes, which does not take the pid's owner for it."""
    case.service.kill("supervisor")
    pid = case.role_dies(role)
    take_pid(pid)
    case.service.start()
    until(lambda: case.service.pid(role) != pid, f"another {role}")
    case.goes_on()


def supervisor(case: Case) -> None:
    """The supervisor is dead: the next one adopts what runs."""
    pids = {role: case.service.pid(role) for role in ROLES}
    with case.service.attach():  # else the workers would leave
        take_pid(case.service.kill("supervisor"))
        case.service.start()
        assert case.service.pid("committer") == pids["committer"]
        case.goes_on()


def everybody(case: Case) -> None:
    """All are dead and all pids others': what was acknowledged is salvaged."""
    with case.service.attach() as log:
        log.append(b"kept")
    take_pid(case.service.kill("supervisor"))
    for role in ("committer", "syncer"):
        take_pid(case.role_dies(role))
    case.service.start()
    case.goes_on()
    with case.service.attach() as log:
        assert log.status().epoch == 2
        assert [record.payload for record in log.read()] == [b"kept", b"goes on"]


def failed(case: Case) -> None:
    """A log has failed, and its workers are dead: a start ends nobody in their place."""
    with case.service.attach() as log:
        log.append(b"kept", durability="synced")
        case.service.kill("supervisor")
        for role in ("committer", "syncer"):
            take_pid(case.role_dies(role))
        log._ring.set_state(State.FAILED)
        case.service.start()
    case.goes_on()


CASES: Final[dict[str, Callable[[Case], None]]] = {
    **{f"guard-{point}": partial(guard, point=point) for point in IN_GUARD},
    **{f"flight-{point}": partial(flight, point=point) for point in IN_FLIGHT},
    **{f"worker-{role}": partial(worker, role=role) for role in ROLES[1:]},
    "repairer": repairer,
    "heir": heir,
    "cursor": cursor,
    "transaction": transaction,
    "supervisor": supervisor,
    "everybody": everybody,
    "failed": failed,
}


def main(name: str, path: str, tree: str) -> None:
    """Run one case; nothing is left of its service afterwards."""
    case = Case(Path(path), FailPoints(Path(tree)))
    try:
        CASES[name](case)
        nothing_was_taken_from_the_living()
    finally:
        case.service.clean_up()


if __name__ == "__main__":
    main(*sys.argv[1:])
