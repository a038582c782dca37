"""Who may take a name in shared memory, or remove one: one starting service at a time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from logstore.errors import InUse
from logstore.ring.region import SHM

NAMES_S: Final = 10.0  # a region is made in much less
LOOK_AGAIN_S: Final = 0.002


@contextmanager
def names_held() -> Iterator[None]:
    """For the block, keep every other service from taking or removing a name.

    Raises:
        InUse: Another one, or whoever else may read /dev/shm, holds the names for too long.
    """
    deadline = time.monotonic() + NAMES_S
    fd = os.open(SHM, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise InUse("another log is being created; try again", path=SHM) from None
                time.sleep(LOOK_AGAIN_S)
        yield
    finally:
        os.close(fd)
