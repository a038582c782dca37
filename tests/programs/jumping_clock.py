"""Becomes sitecustomize.py of a service's processes, whose wall clock a test sets.

LOGSTORE_TEST_CLOCK names a file with the seconds that it is off the real one. (libfaketime also
bends sleeps by the monotonic clock.)
"""

from __future__ import annotations

import os
import time
from pathlib import Path

if "LOGSTORE_TEST_CLOCK" in os.environ:
    _control = Path(os.environ["LOGSTORE_TEST_CLOCK"])
    _real_ns = time.time_ns

    def _time_ns() -> int:
        return _real_ns() + int(_control.read_text()) * 1_000_000_000

    time.time_ns = _time_ns
    time.time = lambda: _time_ns() / 1e9
