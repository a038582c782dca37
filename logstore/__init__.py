"""One ordered, durable log that several processes on one machine share."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
        Lost,
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
else:
    # Imported when they are asked for: a worker needs few of them, and the log waits while one
    # starts. Checkers and editors read the lines above.
    _ROOMS = {
        "cursor": "Cursor",
        "cursors": "CursorStatus",
        "errors": (
            "Closed Compacted Corruption DiskFull IncompatibleFormat InUse "
            "InvalidArgument InvalidLSN LimitReached LogstoreError Lost NotFound "
            "NotRunning NotWritten PermissionDenied ReadFailed ReadOnly "
            "RecordTooLarge RevertedError RingFull SharedMemoryFull SyncFailed "
            "Timeout Unsupported"
        ),
        "frames": "Record",
        "group": "Group GroupStatus",
        "log": "Log",
        "lsn": "FIRST_LSN Durability Watermarks",
        "opening": "attach open",
        "pins": "Holder",
        "repairing": "RepairReport repair",
        "reservation": "Reservation",
        "status": "Status",
    }
    _ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names.split()}

    def __getattr__(name):  # noqa: ANN001, ANN202
        room = _ROOM_OF.get(name)
        if room is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{room}"), name)
        globals()[name] = value
        return value

    def __dir__():  # noqa: ANN202
        return sorted({*globals(), *_ROOM_OF})


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
    "Lost",
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
