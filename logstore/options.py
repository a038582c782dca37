"""What a log can be told when its service starts, and where it may be told."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, get_args

from logstore.errors import InvalidArgument, PermissionDenied, ReadFailed
from logstore.files import Directory

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

Recovery = Literal["strict", "tail", "salvage"]
RECOVERIES: Final[tuple[Recovery, ...]] = get_args(Recovery)
"""What a start may do about damage: nothing, lose the log's end, keep whatever is sound."""

OPTIONS_FILE: Final = "logstore.toml"
ENVIRONMENT: Final = {
    "LOGSTORE_RING_SIZE": "ring_size",
    "LOGSTORE_SEGMENT_SIZE": "segment_size",
    "LOGSTORE_SYNC_INTERVAL": "sync_interval_s",
    "LOGSTORE_MODE": "mode",
    "LOGSTORE_RETAIN_BYTES": "retain_bytes",
    "LOGSTORE_RETAIN_AGE": "retain_age_s",
    "LOGSTORE_RECOVERY": "recovery",
}

_SIZE_UNITS: Final = {"": 1, "b": 1, "kib": KIB, "mib": MIB, "gib": GIB}
_TIME_UNITS: Final = {"": 1.0, "s": 1.0, "ms": 0.001, "min": 60.0, "h": 3600.0, "d": 86400.0}
_A_TIME: Final = "seconds or a time such as 10ms, 30s, 5min, 2h or 7d"
# As many digits as 63 bits have: Python refuses to convert thousands of them, in its own words.
_SIZE: Final = re.compile(r"\s*(\d{1,19})\s*([a-z]*)\s*", re.ASCII | re.IGNORECASE)
_HIGHEST: Final = 2**63 - 1
_TIME: Final = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", re.ASCII | re.IGNORECASE)
_MODE: Final = re.compile(r"\s*(?:0o?)?([0-7]+)\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Options:
    """Hold the checked settings of one log's service.

    Attributes:
        ring_size: Bytes of shared memory for records on their way; a power of two. A record is at
            most a quarter of it.
        segment_size: Bytes after which a new segment file is begun.
        sync_interval_s: How long records may wait for the disk when nobody waits for them.
        mode: Permissions of the log's files and shared memory.
        linger_s: How long the service stays after its last client has left; None: for ever.
        retain_bytes: Drop the oldest segments, needed or not, while the log has more; 0: never.
        retain_age_s: Drop segments whose records are all older, needed or not; 0: never.
        recovery: What a start does about damage below what was durable. "strict": refuse. "tail":
            accept the loss of the log's end. "salvage": keep everything that is sound.

    Raises:
        InvalidArgument: A value is not allowed; the message names it and says what is.
    """

    ring_size: int = 32 * MIB
    segment_size: int = 64 * MIB
    sync_interval_s: float = 0.010
    mode: int = 0o600
    linger_s: float | None = None
    retain_bytes: int = 0
    retain_age_s: float = 0.0
    recovery: Recovery = "strict"

    def __post_init__(self) -> None:
        for key in _CHECKS:
            object.__setattr__(self, key, _checked(key, getattr(self, key), key))

    @classmethod
    def load(cls, directory_path: str | os.PathLike[str], **flags: object) -> Self:
        """Gather the options of the log in a directory from all places that may set them.

        A flag wins over an environment variable, that over `logstore.toml` in the data
        directory, that over the default. A flag that is None was not given. Sizes and times
        may be strings such as "64 MiB" and "10ms" everywhere.

        Raises:
            InvalidArgument: A value or a key is not allowed; the message says where it stands.
            PermissionDenied: The file may not be read.
            ReadFailed: The file could not be read.
        """
        found: dict[str, Any] = {}
        for key, value in _from_file(directory_path).items():
            found[key] = _checked(key, value, f"{key} in {OPTIONS_FILE}")
        for variable, key in ENVIRONMENT.items():
            if variable in os.environ:
                found[key] = _checked(key, os.environ[variable], variable)
        for key, value in flags.items():
            if key not in _CHECKS:
                raise InvalidArgument(f"unknown option {key!r}; there are {', '.join(_CHECKS)}")
            if value is not None:
                found[key] = _checked(key, value, key)
        return cls(**found)


def folder_mode(mode: int) -> int:
    """Return the permissions of a folder whose files have `mode`: who may read may enter."""
    return mode | (mode & 0o444) >> 2


def parse_size(text: str, *, name: str = "size") -> int:
    """Return the bytes that a text such as "1048576", "64MiB" or "1 GiB" means.

    Raises:
        InvalidArgument: It is nothing of that kind.
    """
    match = _SIZE.fullmatch(text)
    unit = _SIZE_UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise InvalidArgument(f"{name} must be bytes or a size such as 64MiB, not {text!r}")
    return int(match[1]) * unit


def parse_seconds(text: str, *, name: str = "time") -> float:
    """Return the seconds that a text such as "0.01", "10ms", "5 min", "2h" or "7d" means.

    Raises:
        InvalidArgument: It is nothing of that kind.
    """
    match = _TIME.fullmatch(text)
    unit = _TIME_UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise InvalidArgument(f"{name} must be {_A_TIME}, not {text!r}")
    return float(match[1]) * unit


def _checked(key: str, value: object, label: str) -> object:
    if isinstance(value, int) and abs(value) > _HIGHEST:
        # Python refuses to show a number of so many digits as it may have.
        raise InvalidArgument(f"{label} is a number of more than 63 bits")
    return _CHECKS[key](value, label)


def _integer(value: object, label: str) -> int:
    if isinstance(value, str):
        return parse_size(value, name=label)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidArgument(f"{label} must be bytes or a size such as 64MiB, not {value!r}")
    return value


def _ring_size(value: object, label: str) -> int:
    size = _integer(value, label)
    if not 64 * KIB <= size <= GIB or size & (size - 1):
        raise InvalidArgument(f"{label} must be a power of two from 64 KiB to 1 GiB, not {value!r}")
    return size


def _segment_size(value: object, label: str) -> int:
    size = _integer(value, label)
    # Users need no segment below 64 KiB; tests do, so that rotation comes soon.
    if not 8 * KIB <= size <= 16 * GIB:
        raise InvalidArgument(f"{label} must be from 8 KiB to 16 GiB, not {value!r}")
    return size


def _seconds(value: object, label: str, highest: float) -> float:
    if isinstance(value, str):
        value = parse_seconds(value, name=label)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidArgument(f"{label} must be {_A_TIME}, not {value!r}")
    if not 0.0 <= value <= highest:
        raise InvalidArgument(f"{label} must be from 0 to {highest:g} seconds, not {value!r}")
    return float(value)


def _sync_interval(value: object, label: str) -> float:
    return _seconds(value, label, 60.0)


def _linger(value: object, label: str) -> float | None:
    return None if value is None else _seconds(value, label, 86400.0)


def _retain_bytes(value: object, label: str) -> int:
    size = _integer(value, label)
    if not 0 <= size <= _HIGHEST:
        raise InvalidArgument(f"{label} must be bytes from 0 on (0: no limit), not {value!r}")
    return size


def _retain_age(value: object, label: str) -> float:
    return _seconds(value, label, 1e10)


def _mode(value: object, label: str) -> int:
    match = _MODE.fullmatch(value) if isinstance(value, str) else None
    mode = int(match[1], 8) if match else value
    if not isinstance(mode, int) or mode not in (0o600, 0o640, 0o660):
        raise InvalidArgument(
            f"{label} must be 0o600 (the owner), 0o640 (the group reads) or 0o660 (the group "
            f"writes, too), not {value!r}"
        )
    return mode


def _recovery(value: object, label: str) -> Recovery:
    for one in RECOVERIES:
        if value == one:
            return one
    raise InvalidArgument(f"{label} must be one of {', '.join(RECOVERIES)}, not {value!r}")


_CHECKS: Final[Mapping[str, Callable[[object, str], object]]] = {
    "ring_size": _ring_size,
    "segment_size": _segment_size,
    "sync_interval_s": _sync_interval,
    "mode": _mode,
    "linger_s": _linger,
    "retain_bytes": _retain_bytes,
    "retain_age_s": _retain_age,
    "recovery": _recovery,
}


def _from_file(directory_path: str | os.PathLike[str]) -> dict[str, object]:
    text = _file_text(directory_path)
    if text is None:
        return {}
    # Imported only when there is a file: each worker pays for its imports at every start.
    import tomllib

    import msgspec

    size, time = int | str | msgspec.UnsetType, float | str | msgspec.UnsetType
    types = {**dict.fromkeys(_CHECKS, size), "sync_interval_s": time, "linger_s": time}
    types["retain_age_s"] = time
    fields = [(key, allowed, msgspec.UNSET) for key, allowed in types.items()]
    file_type = msgspec.defstruct("File", fields, forbid_unknown_fields=True)
    try:
        file = msgspec.convert(tomllib.loads(text.decode()), file_type)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        path = os.path.join(directory_path, OPTIONS_FILE)
        raise InvalidArgument(f"{OPTIONS_FILE}: {error}", path=path) from error
    found = msgspec.structs.asdict(file)
    return {key: value for key, value in found.items() if value is not msgspec.UNSET}


def _file_text(directory_path: str | os.PathLike[str]) -> bytes | None:
    try:
        with Directory.open(directory_path, create=False) as directory:
            fd = directory.open_read(OPTIONS_FILE)
            try:
                return directory.read(fd, MIB, 0)
            finally:
                directory.close_file(fd)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise PermissionDenied(
            f"{OPTIONS_FILE} may not be read", path=error.filename, errno=error.errno
        ) from error
    except OSError as error:
        raise ReadFailed(
            f"{OPTIONS_FILE} could not be read: {error.strerror}",
            path=error.filename,
            errno=error.errno,
        ) from error
