"""The log's time: the time of day, but never back."""

from __future__ import annotations

import time

from logstore.files import Directory
from logstore.ring._ring import LAYOUT, Ring
from logstore.segments.footer import Footer
from logstore.segments.segment import read_header, segment_name


def log_time_ns(ring: Ring) -> int:
    """Return the time that a mark or a new segment says. Committer only.

    Records are found by time as if it only grew. When the clock is set back, the log's time
    stands until the clock has caught up.
    """
    now = max(time.time_ns(), ring.load(LAYOUT["log_time_ns"]))
    # Order: before anything says it. Crash: the successor goes on from there, too.
    ring.store(LAYOUT["log_time_ns"], now)
    return now


def newest_time_ns(directory: Directory, footer: Footer | None) -> int:
    """Return where the log's time goes on after the newest sealed segment; 0 if there is none.

    Raises:
        LogstoreError: The segment cannot be read.
    """
    if footer is None:
        return 0
    if footer.times:
        return footer.times[-1].time_ns
    return read_header(directory, segment_name(footer.base_lsn), uuid=None).created_ns
