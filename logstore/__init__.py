"""One ordered, durable log that several processes on one machine share."""

from logstore.cursor import Cursor
from logstore.cursors import CursorStatus
from logstore.errors import (
    Closed,
    Compacted,
    Corruption,
    DiskFull,
    IncompatibleFormat,
    InUse,
    InvalidArgument,
    InvalidLSN,
    LimitReached,
    LogstoreError,
    NotFound,
    NotRunning,
    NotWritten,
    PermissionDenied,
    ReadFailed,
    ReadOnly,
    RecordTooLarge,
    RevertedError,
    RingFull,
    SharedMemoryFull,
    SyncFailed,
    Timeout,
    Unsupported,
)
from logstore.frames import Record
from logstore.group import Group, GroupStatus
from logstore.log import Log
from logstore.lsn import FIRST_LSN, Durability, Watermarks
from logstore.opening import attach, open
from logstore.pins import Holder
from logstore.repairing import RepairReport, repair
from logstore.reservation import Reservation
from logstore.status import Status

__all__ = [
    "FIRST_LSN",
    "Closed",
    "Compacted",
    "Corruption",
    "Cursor",
    "CursorStatus",
    "DiskFull",
    "Durability",
    "Group",
    "GroupStatus",
    "Holder",
    "InUse",
    "IncompatibleFormat",
    "InvalidArgument",
    "InvalidLSN",
    "LimitReached",
    "Log",
    "LogstoreError",
    "NotFound",
    "NotRunning",
    "NotWritten",
    "PermissionDenied",
    "ReadFailed",
    "ReadOnly",
    "Record",
    "RecordTooLarge",
    "RepairReport",
    "Reservation",
    "RevertedError",
    "RingFull",
    "SharedMemoryFull",
    "Status",
    "SyncFailed",
    "Timeout",
    "Unsupported",
    "Watermarks",
    "attach",
    "open",
    "repair",
]
