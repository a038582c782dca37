"""Names for the region's offsets and constants, all taken from the C header's own answers."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from logstore.ring._ring import LAYOUT

HEADER_SIZE: Final = LAYOUT["header.size"]
CLIENTS: Final = LAYOUT["CLIENTS"]
GROUPS: Final = LAYOUT["GROUPS"]
BUCKETS: Final = LAYOUT["BUCKETS"]
SEGMENT_SLOTS: Final = LAYOUT["SEGMENT_SLOTS"]
TRANSACTIONS: Final = LAYOUT["TRANSACTIONS"]

SUPERVISOR: Final = 0
COMMITTER: Final = LAYOUT["COMMITTER"]
SYNCER: Final = 2
FIRST_CLIENT: Final = 3
ROLES: Final = {SUPERVISOR: "supervisor", COMMITTER: "committer", SYNCER: "syncer"}


class State(IntEnum):
    """What the log as a whole does; clients read it, the service writes it."""

    STARTING = LAYOUT["STATE_STARTING"]
    RUNNING = LAYOUT["STATE_RUNNING"]
    DRAINING = LAYOUT["STATE_DRAINING"]
    FULL = LAYOUT["STATE_FULL"]
    FAILED = LAYOUT["STATE_FAILED"]
    CLOSED = LAYOUT["STATE_CLOSED"]


class Mode(IntEnum):
    """How deep an idle worker sleeps."""

    AWAKE = LAYOUT["AWAKE"]
    NAPPING = LAYOUT["NAPPING"]
    SLEEPING = LAYOUT["SLEEPING"]


class Status(IntEnum):
    """Why a call into the ring could not go on; the argument of its hook."""

    BUSY = LAYOUT["BUSY"]
    NO_ROOM = LAYOUT["NO_ROOM"]
    WRONG_STATE = LAYOUT["WRONG_STATE"]
    TIMED_OUT = LAYOUT["TIMED_OUT"]
    TOO_LARGE = LAYOUT["TOO_LARGE"]
    REVERTED = LAYOUT["REVERTED"]
    CLOSED = LAYOUT["CLOSED"]
    STALLED = LAYOUT["STALLED"]
    REVERTS = LAYOUT["REVERTS"]


class Stop(IntEnum):
    """Why a walk over the ring ended where it did."""

    DRY = LAYOUT["STOP_DRY"]
    BLOCKED = LAYOUT["STOP_BLOCKED"]
    LIMIT = LAYOUT["STOP_LIMIT"]
    DAMAGED = LAYOUT["STOP_DAMAGED"]


class Level(IntEnum):
    """The watermarks that can be waited for, by durability."""

    RING = 0
    WRITTEN = 1
    SYNCED = 2


WATERMARKS: Final = {
    Level.RING: LAYOUT["published"],
    Level.WRITTEN: LAYOUT["written"],
    Level.SYNCED: LAYOUT["synced"],
}
"""The header offset of each level's watermark."""


def client_offset(index: int, field: str) -> int:
    """Return the header offset of a field of a client's entry."""
    return LAYOUT["clients"] + index * LAYOUT["client.size"] + LAYOUT[f"client.{field}"]


def group_offset(index: int, field: str) -> int:
    """Return the header offset of a field of a group's entry."""
    return LAYOUT["groups"] + index * LAYOUT["group.size"] + LAYOUT[f"group.{field}"]


def transaction_offset(index: int, field: str) -> int:
    """Return the header offset of a field of an entry of the transaction table."""
    size, field_offset = LAYOUT["transaction.size"], LAYOUT[f"transaction.{field}"]
    return LAYOUT["transactions"] + index * size + field_offset


def index_of(token: int) -> int:
    """Return the client index in a token."""
    return token & (CLIENTS - 1)


def generation_of(token: int) -> int:
    """Return the generation, as far as a token holds it."""
    return token >> LAYOUT["INDEX_BITS"]
