"""Stands in the place of `os` in the modules that touch files, and fails calls of them on purpose.

Also becomes sitecustomize.py of a service's processes: LOGSTORE_FAULT says what fails there, as
"kinds after number times", LOGSTORE_FAULT_ROLE in which of them, LOGSTORE_FAULT_ONCE names a file
without which nothing fails.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

KINDS: Final = {
    "open": "open",
    "pread": "read",
    "preadv": "read",
    "pwrite": "write",
    "fdatasync": "sync",
    "fsync": "sync",
    "rename": "name",
    "unlink": "name",
    "mkdir": "name",
    "stat": "look",
    "fstat": "look",
    "listdir": "look",
    "scandir": "look",
    "ftruncate": "size",
    "posix_fallocate": "size",
    "chmod": "mode",
    "fchmod": "mode",
}
"""What kind each system call is of. Closing is not among them: it cannot be tried again."""

ALL: Final = frozenset(KINDS.values())
SHORT: Final = -1
"""Stands for an error number: no error, but only half of the bytes are written."""

MODULES: Final = ("logstore.files", "logstore.ring.liveness")
"""The modules that open or change files of a data directory."""


@dataclass(slots=True)
class FaultyCalls:
    """Pass everything on to `os`, but for the calls that are to fail.

    Attributes:
        kinds: Which kinds of calls may fail.
        after: How many of those go well first.
        number: The error number, or SHORT.
        times: How many then fail; None for all.
        only: With what the name of the file must end.
        seen: How many calls of these kinds there were.
        fired: What has failed: the call, and the file that it was about.
        on_fire: Called with these at each failure, before it is raised.
    """

    kinds: frozenset[str] = ALL
    after: int = 0
    number: int = 0
    times: int | None = 1
    only: str = ""
    seen: int = 0
    fired: list[tuple[str, str]] = field(default_factory=list)
    on_fire: Callable[[str, str], object] | None = None
    once: Path | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever `os` has)
        real = getattr(os, name)
        if KINDS.get(name) in self.kinds:
            return functools.partial(self._call, name, real)
        return real

    def heal(self) -> None:
        """Let nothing fail any more."""
        self.times = 0

    def _due(self, name: str) -> bool:
        if self.number == SHORT and name != "pwrite":
            return False
        with self._lock:
            self.seen += 1
            if self.times is not None and len(self.fired) >= self.times:
                return False
            if self.seen <= self.after or not self._is_meant():
                return False
            self.fired.append((name, ""))
            return True

    def _is_meant(self) -> bool:
        """Tell whether this process is the one: who removes the file first."""
        if self.once is None or self.fired:
            return True
        try:
            self.once.unlink()
        except FileNotFoundError:
            return False
        return True

    def _call(self, name: str, real: Callable[..., Any], *args: Any, **flags: Any) -> Any:  # noqa: ANN401
        place = _place(args[0]) if self.only else ""
        if not place.endswith(self.only) or not self._due(name):
            return real(*args, **flags)
        place = place or _place(args[0])
        self.fired[-1] = (name, place)
        if self.on_fire is not None:
            self.on_fire(name, place)
        if self.number == SHORT:
            fd, data, offset = args
            with memoryview(data) as whole, whole.cast("B") as view:
                return os.pwrite(fd, view[: max(len(view) // 2, 1)], offset)
        where = (args[0],) if isinstance(args[0], str | Path) else ()
        raise OSError(self.number, os.strerror(self.number), *where)


def _place(what: object) -> str:
    if isinstance(what, int):
        return Path(f"/proc/self/fd/{what}").readlink().name
    return str(what)


def _break_this_process() -> None:
    words = [word.rpartition(".")[2] for word in sys.orig_argv]
    if os.environ.get("LOGSTORE_FAULT_ROLE", words[-1]) not in words:
        return
    kinds, after, number, times = os.environ["LOGSTORE_FAULT"].split()
    once = os.environ.get("LOGSTORE_FAULT_ONCE")
    faulty = FaultyCalls(
        frozenset(kinds.split(",")),
        int(after),
        int(number),
        int(times) or None,
        once=Path(once) if once else None,
    )
    for name in MODULES:
        __import__(name)
        sys.modules[name].os = faulty  # type: ignore[attr-defined]
    sys.modules["logstore.files"].Directory.direct = False


if __name__ == "sitecustomize" and "LOGSTORE_FAULT" in os.environ:
    _break_this_process()
