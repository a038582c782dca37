"""What each kind of failure means to the shell."""

from __future__ import annotations

from typing import Final

from logstore import errors

OK: Final = 0
FAILURE: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
CORRUPT: Final = 4
IN_USE: Final = 5
NOT_RUNNING: Final = 6
"""Also a time-out: what was waited for did not come."""
FULL: Final = 7
INTERRUPTED: Final = 130


class BadInput(errors.LogstoreError):
    """Tell that what a command was given to append is not of the form it should have."""


# The first class that an error is an instance of decides.
_CODES: Final[tuple[tuple[type[BaseException], int], ...]] = (
    (errors.Corruption, CORRUPT),
    (errors.NotFound, NOT_FOUND),
    (errors.InUse, IN_USE),
    (errors.Timeout, NOT_RUNNING),
    (errors.NotRunning, NOT_RUNNING),
    (errors.Closed, NOT_RUNNING),
    (errors.RingFull, FULL),
    (errors.DiskFull, FULL),
    (errors.SharedMemoryFull, FULL),
    (errors.LimitReached, FULL),
    (errors.InvalidArgument, USAGE),
    (errors.InvalidLSN, USAGE),
    (errors.ReadOnly, USAGE),
    (errors.LogstoreError, FAILURE),
    (FileNotFoundError, NOT_FOUND),
    (KeyboardInterrupt, INTERRUPTED),
)


def exit_code(error: BaseException) -> int:
    """Return the exit code for an error; 1 for whatever is not in the table."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILURE)
