"""One ordered, durable log that several processes on one machine share."""

from logstore.errors import (
    Closed,
    Corruption,
    DiskFull,
    IncompatibleFormat,
    InUse,
    InvalidArgument,
    InvalidLSN,
    LogstoreError,
    NotFound,
    NotRunning,
    PermissionDenied,
    ReadFailed,
    ReadOnly,
    RecordTooLarge,
    RingFull,
    SharedMemoryFull,
    SyncFailed,
    Timeout,
    Unsupported,
)
from logstore.frames import Record
from logstore.log import Log
from logstore.lsn import FIRST_LSN, Durability, Watermarks
from logstore.opening import attach, open
from logstore.reservation import Reservation
from logstore.status import Status

__all__ = [
    "FIRST_LSN",
    "Closed",
    "Corruption",
    "DiskFull",
    "Durability",
    "InUse",
    "IncompatibleFormat",
    "InvalidArgument",
    "InvalidLSN",
    "Log",
    "LogstoreError",
    "NotFound",
    "NotRunning",
    "PermissionDenied",
    "ReadFailed",
    "ReadOnly",
    "Record",
    "RecordTooLarge",
    "Reservation",
    "RingFull",
    "SharedMemoryFull",
    "Status",
    "SyncFailed",
    "Timeout",
    "Unsupported",
    "Watermarks",
    "attach",
    "open",
]
