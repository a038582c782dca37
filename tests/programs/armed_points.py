"""Takes the place of logstore/points.py in the copy of the package that fail points are tried on.

The environment says where to die, as for the points in C: LOGSTORE_FAIL_POINT=name or name:n,
LOGSTORE_FAIL_SIGNAL, LOGSTORE_FAIL_ONCE.
"""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path

_WANTED, _, _NUMBER = os.environ.get("LOGSTORE_FAIL_POINT", "").partition(":")
_SIGNAL = int(os.environ.get("LOGSTORE_FAIL_SIGNAL", signal.SIGKILL))
_arrivals = itertools.count(1)


def _is_first() -> bool:
    once = os.environ.get("LOGSTORE_FAIL_ONCE")
    if once is None:
        return True
    try:
        Path(once).unlink()
    except FileNotFoundError:
        return False
    return True


def point(name: str) -> None:
    """End, or stop, this process if this is the place and the time."""
    if name == _WANTED and next(_arrivals) == int(_NUMBER or 1) and _is_first():
        os.kill(os.getpid(), _SIGNAL)
