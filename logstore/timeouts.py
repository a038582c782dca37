"""Time-outs: None waits for ever, otherwise seconds on the monotonic clock."""

from __future__ import annotations

import time

from logstore.errors import InvalidArgument


def require_timeout(timeout: float | None) -> float | None:
    """Return `timeout` if it is None or a number of seconds from 0 on.

    Raises:
        InvalidArgument: It is not.
    """
    if timeout is None or (isinstance(timeout, (int, float)) and timeout >= 0):
        return timeout
    raise InvalidArgument(f"timeout must be None or a number of seconds from 0 on, not {timeout!r}")


class Countdown:
    """Tell how much of a time-out is left."""

    def __init__(self, timeout: float | None) -> None:
        timeout = require_timeout(timeout)
        self._end = None if timeout is None else time.monotonic() + timeout

    def __call__(self) -> float | None:
        return None if self._end is None else max(0.0, self._end - time.monotonic())
