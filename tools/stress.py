"""Stress a whole log: `python -m tools.stress [--seconds 10] [--seed N] [--writers 4] ...`.

Writer processes append in all the ways there are, readers follow, and a seeded driver kills, with
SIGKILL, a writer, the committer, the syncer, the supervisor, or all of them at once. After each
kill the survivors must go on. After each end of all, and of the run, every record is read back and
judged by the oracle (tests/oracle.py), and the files by the independent verifier. A small ring and
small segments make it wrap and rotate all the time.

Prints the seed first, a table last. Exit code 0 if all of it held, 1 if not (the data directory is
kept then).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.oracle import Oracle
from tests.service import Service, environment
from tests.writers import Writers
from tools.verify_directory import Verifier

FAULTS: Final = ("writer", "committer", "syncer", "supervisor", "all")
WAYS: Final = (  # flags of the writer; a batch must fit into a quarter of the smallest ring
    "--durability ring --sizes 0-200",
    "--durability ring --sizes 8,2000,30000",
    "--durability ring --sizes 0-300 --batch 7",
    "--durability written --sizes 1-3000 --batch 3",
    "--durability ring --sizes 0-500 --reserve",
    "--durability synced --sizes 64",
    "--durability synced --sizes 1-100 --batch 40",
    "--durability synced --sizes 1-5000 --reserve",
)


@dataclass
class Stress:
    """One run."""

    path: Path
    options: argparse.Namespace
    dice: random.Random
    oracle: Oracle = field(default_factory=Oracle)
    faults: Counter[str] = field(default_factory=Counter)
    pauses: dict[str, float] = field(default_factory=dict)
    readers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    read: int = 0
    records: int = 0

    def __post_init__(self) -> None:
        sizes = {"ring_size": self.options.ring_size, "segment_size": self.options.segment_size}
        self.service = Service(self.path, self.path.name, sizes)
        self.writers = Writers(self.oracle)
        self.living: list[int] = []
        self.ways: dict[int, list[str]] = {}

    # Who takes part.

    def start_writer(self) -> None:
        """Start a writer that appends in a way of its own."""
        flags = [*self.dice.choice(WAYS).split(), "--seed", str(self.dice.randrange(1 << 30))]
        writer = self.writers.start(self.service.name, *flags)
        self.living.append(writer)
        self.ways[writer] = flags

    def start_writers(self) -> None:
        """Bring the writers up to their number."""
        while len(self.living) < self.options.writers:
            self.start_writer()

    def start_reader(self) -> None:
        """Start a reader that follows the log over restarts."""
        report = self.path.parent / f"reader-{len(self.readers)}"
        command = [
            sys.executable,
            "-P",
            "-m",
            "tools.stress_reader",
            self.service.name,
            str(report),
        ]
        self.readers.append(
            subprocess.Popen(command, stdin=subprocess.PIPE, env=environment(), stderr=None)
        )

    # What happens to them.

    def let_work(self) -> None:
        """Let a random part of the load go by: so many acks of each writer."""
        for writer in self.living:
            seen = len(self.oracle.acks_ns.get(writer, ()))
            more = self.dice.randrange(1, 60)
            self.oracle.until_acked(writer, seen + more, self.options.patience)

    def survivors_go_on(self, fault: str, began_ns: int) -> None:
        """Wait for acks of appends begun after the fault; note how long the slowest took."""
        self.oracle.until_acked_after(self.living, began_ns, self.options.patience)
        for writer in self.living:
            acks = self.oracle.acks_ns[writer]
            first = next(ack for ack in reversed(acks) if ack <= began_ns or ack == acks[0])
            after = next(ack for ack in acks if ack > began_ns)
            pause_s = (after - max(first, began_ns)) / 1e9
            self.pauses[fault] = max(self.pauses.get(fault, 0.0), pause_s)

    def strike(self, fault: str) -> None:
        """Do one fault, and see that the rest goes on."""
        self.faults[fault] += 1
        began_ns = time.monotonic_ns()
        if fault == "all":
            self.end_all()
            return
        if fault == "writer":
            victim = self.living.pop(self.dice.randrange(len(self.living)))
            self.writers.kill(victim)
        elif fault == "supervisor":
            self.service.kill(fault)
        else:
            old_pid = self.service.kill(fault)
        self.survivors_go_on(fault, began_ns)
        if fault == "supervisor":
            self.service.start()
        elif fault != "writer":
            self.service.until_restarted(fault, old_pid)
        self.start_writers()

    def end_all(self) -> None:
        """Kill everybody at once, look at the files, start anew, and judge what is left."""
        if self.dice.random() < 0.5:
            for writer in self.living:
                self.writers.processes[writer].kill()
            self.service.kill_all()
        else:
            self.service.kill_all()
            self.fill_the_ring()
        self.writers.kill(*self.living)
        self.living.clear()
        self.verify_files()
        began_s = time.monotonic()
        self.service.start()
        self.pauses["all"] = max(self.pauses.get("all", 0.0), time.monotonic() - began_s)
        self.judge()
        self.oracle.forget_absences()
        self.start_writers()

    def fill_the_ring(self) -> None:
        """Let who needs no disk go on without a service: only the ring has what they append."""
        for writer in self.living:
            if "ring" in self.ways[writer]:
                seen = len(self.oracle.acks_ns[writer])
                with contextlib.suppress(AssertionError):  # the ring may be full already
                    self.oracle.until_acked(writer, seen + 20, 0.5)

    # Judging.

    def judge(self) -> None:
        """Read everything back and ask the oracle, twice."""
        self.oracle.until_all_told(30.0)
        for _ in range(2):
            self.records = len(self.oracle.check(self.service.read_all()))

    def verify_files(self) -> None:
        """Let the independent verifier look at the directory."""
        verifier = Verifier(self.path)
        verifier.run()
        assert not verifier.log.findings, f"the files: {verifier.log.findings[:5]}"

    def stop_readers(self) -> None:
        """End the readers; each must have been content."""
        for number, reader in enumerate(self.readers):
            assert reader.stdin is not None
            reader.stdin.close()
            assert reader.wait(30.0) == 0, f"reader {number} found something"
            self.read += int((self.path.parent / f"reader-{number}").read_text())
        self.readers.clear()

    # The whole.

    def run(self) -> None:
        """Run until the time or the rounds are over, then judge.

        Raises:
            AssertionError: Something did not hold.
        """
        self.service.start()
        self.start_writers()
        for _ in range(self.options.readers):
            self.start_reader()
        deadline = time.monotonic() + self.options.seconds
        rounds = 0
        while time.monotonic() < deadline and rounds != self.options.rounds:
            self.let_work()
            self.strike(self.dice.choice(FAULTS))
            rounds += 1
        self.let_work()
        self.writers.stop()
        self.living.clear()
        self.judge()
        self.stop_readers()
        assert self.service.stop() == 0, f"no clean stop\n{self.service.messages()}"
        self.verify_files()

    def clean_up(self) -> None:
        """End every process of the run."""
        self.writers.clean_up()
        for reader in self.readers:
            reader.kill()
            reader.wait()
            if reader.stdin is not None:
                reader.stdin.close()
        self.service.clean_up()

    def table(self) -> Table:
        """Draw what was done."""
        acked = sum(fate.acked is not None for fate in self.oracle.fates.values())
        table = Table("fault", "times", "longest pause of a survivor")
        for fault in FAULTS:
            pause = f"{self.pauses.get(fault, 0.0) * 1000:.0f} ms"
            table.add_row(fault, str(self.faults[fault]), pause)
        table.caption = (
            f"{len(self.oracle.fates):,} records issued, {acked:,} acknowledged, "
            f"{self.records:,} in the log, {self.read:,} seen by readers"
        )
        return table


def arguments_of(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.stress", description="Stress a log.")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=-1, help="at most so many faults")
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--readers", type=int, default=2)
    parser.add_argument("--ring-size", default="256KiB")
    parser.add_argument("--segment-size", default="512KiB")
    parser.add_argument("--patience", type=float, default=10.0, help="seconds until an ack")
    parser.add_argument("--directory", type=Path, help="where to work (default: a temporary one)")
    return parser.parse_args(words)


def main(words: list[str]) -> int:
    """Run the stress and print what came of it."""
    options = arguments_of(words)
    console = Console()
    console.print(f"seed {options.seed}: --seed {options.seed} repeats the choices of this run")
    base = Path(tempfile.mkdtemp(prefix="logstore-stress-", dir=options.directory))
    stress = Stress(base / f"stress-{os.getpid()}", options, random.Random(options.seed))
    try:
        stress.run()
    except AssertionError as error:
        console.print(stress.table())
        console.print(f"VIOLATED, seed {options.seed}: {error}\nkept: {base}", markup=False)
        return 1
    finally:
        stress.clean_up()
    shutil.rmtree(base)
    console.print(stress.table())
    console.print("held: nothing acknowledged is missing, changed, doubled or out of order")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
