"""What keeps a log from going on, as its region tells it and as a caller hears it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from logstore.errors import (
    Corruption,
    DiskFull,
    LogstoreError,
    NotRunning,
    RecordTooLarge,
    SyncFailed,
)
from logstore.ring._ring import LAYOUT, Ring
from logstore.ring.layout import State

_STATES: Final = frozenset(State)


def failure(ring: Ring) -> tuple[Path, str, int]:
    """Return (path, stage, errno) of what made the log FULL or FAILED."""
    path = ring.read_header(LAYOUT["failure_path"], LAYOUT["failure_path.size"])
    stage = ring.read_header(LAYOUT["failure_stage"], LAYOUT["failure_stage.size"])
    return (
        Path(os.fsdecode(path.split(b"\0", 1)[0])),
        stage.split(b"\0", 1)[0].decode(errors="replace"),
        ring.load(LAYOUT["failure_errno"]),
    )


def state_error(ring: Ring, directory: Path) -> LogstoreError:
    """Return the error that tells a caller why the log does not go on."""
    word = ring.load(LAYOUT["state"])
    if word not in _STATES:
        return Corruption(f"the log's shared memory is damaged: state {word}", path=directory)
    state = State(word)
    place, stage, number = failure(ring)
    if state == State.FULL:
        return DiskFull(
            "the disk is full; nothing appended is lost, the log goes on once there is room",
            path=place,
            errno=number,
        )
    if state == State.FAILED:
        return SyncFailed(
            f"{stage} failed: {os.strerror(number)}; stop the service, look at the disk, "
            "start it again",
            path=place,
            errno=number,
        )
    return NotRunning(f"the log is {state.name.lower()}; open it again", path=directory)


def too_large(what: str, most: int) -> RecordTooLarge:
    """Return the error that says how much the ring takes at once."""
    return RecordTooLarge(
        f"{what}; this ring takes at most {most} bytes of payload at once: split it, "
        "or start the service with a larger ring_size"
    )
