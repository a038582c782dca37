"""What a client says of its process in the client table."""

from __future__ import annotations

import sys
from pathlib import Path

from logstore.ring._ring import LAYOUT


def start_ticks(pid: int) -> int:
    """Return when a process started, in clock ticks since boot; 0 if it is gone."""
    return _start_ticks(str(pid))


def own_start_ticks() -> int:
    """Return when this process started, as `start_ticks`.

    In a pid namespace whose /proc is another one's, our pid there names somebody else.
    """
    return _start_ticks("self")


def _start_ticks(process: str) -> int:
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[19])


def command_line() -> bytes:
    """Return how this process was started, cut to the field's size and padded."""
    words = [Path(sys.argv[0]).name or "python", *sys.argv[1:2]] if sys.argv else ["python"]
    room = LAYOUT["command.size"] - 1
    text = " ".join(words).encode(errors="replace")[:room]
    return text + bytes(LAYOUT["command.size"] - len(text))
