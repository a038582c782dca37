"""What transactors say about their transactions, and whether a log holds just that."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from logstore import Record
from tests.programs.transactor import payload_of
from tests.service import environment, until


@dataclass(slots=True)
class Outcome:
    """What is known of one transaction."""

    parts: int
    end: str = "unknown"
    commit_lsn: int = 0


@dataclass(slots=True)
class Transactors:
    """Transactor processes, and what they have said so far."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, name: str, threads: int) -> None:
        """Start one more process, with so many threads."""
        tag = f"p{len(self._processes)}"
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.programs.transactor", name, tag, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
        )
        self._processes.append(process)
        thread = threading.Thread(target=self._listen, args=(process,), daemon=True)
        thread.start()
        self._threads.append(thread)

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            name, said, *number = line.decode().split()
            if said == "try":
                self.outcomes[name] = Outcome(int(number[0]))
            else:
                self.outcomes[name].end = said
                self.outcomes[name].commit_lsn = int(number[0]) if number else 0

    def count(self, end: str) -> int:
        """Return how many transactions have ended so."""
        return sum(outcome.end == end for outcome in list(self.outcomes.values()))

    def until_more(self, end: str, count: int) -> None:
        """Wait until so many more transactions have ended so."""
        wanted = self.count(end) + count
        until(lambda: self.count(end) >= wanted, f"{wanted} transactions {end}", 30.0)

    def kill(self, index: int) -> None:
        """Kill a process."""
        self._processes[index].kill()
        self._processes[index].wait()

    def stop(self) -> None:
        """Have all that live end, without an error; everything is heard on return."""
        for process in self._processes:
            if process.poll() is None:
                assert process.stdin is not None
                process.stdin.close()
                assert process.wait(30.0) == 0
        for thread in self._threads:
            thread.join(10.0)
            assert not thread.is_alive()

    def clean_up(self) -> None:
        """End all processes."""
        for process in self._processes:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()

    # Judging.

    def names(self, records: Iterable[Record]) -> set[str]:
        """Return the transactions of which there is anything."""
        return {_name_of(record) for record in records}

    def seen(self, records: Iterable[Record]) -> list[str]:
        """Return the transactions that are there, in order; each must be in one whole piece."""
        names = []
        for name, found in itertools.groupby(records, _name_of):
            payloads = [bytes(record.payload) for record in found]
            expected = [payload_of(name, part) for part in range(self.outcomes[name].parts)]
            assert payloads == expected, f"transaction {name} is not whole"
            names.append(name)
        assert len(set(names)) == len(names), "a transaction is there twice, or in pieces"
        return names

    def check(self, records: Iterable[Record], reverts: Iterable[tuple[int, int]] = ()) -> None:
        """Compare what can be read with what was said.

        A transaction whose process was killed at its commit may be there or not.
        """
        hidden = list(reverts)
        seen = self.seen(records)
        kept = {
            name
            for name, outcome in self.outcomes.items()
            if outcome.end == "committed" and not is_hidden(outcome.commit_lsn, hidden)
        }
        unknown = {name for name, outcome in self.outcomes.items() if outcome.end == "unknown"}
        assert not kept - set(seen), f"committed and not there: {sorted(kept - set(seen))[:5]}"
        strangers = set(seen) - kept - unknown
        assert not strangers, f"there and not to be seen: {sorted(strangers)[:5]}"
        places = [self.outcomes[name].commit_lsn for name in seen if name in kept]
        assert places == sorted(places), "not in the order of their commits"


def is_hidden(lsn: int, reverts: Iterable[tuple[int, int]]) -> bool:
    """Tell whether any of the reverts (from, at) hides what is at `lsn`."""
    return any(first <= lsn < at for first, at in reverts)


def _name_of(record: Record) -> str:
    return bytes(record.payload).split(b" ", 1)[0].decode()
