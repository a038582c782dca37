"""logstore.toml, read twice: what is allowed there is asked of a second list of rules."""

from __future__ import annotations

import re
import tempfile
import tomllib
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Final

from logstore.errors import InvalidArgument
from logstore.options import Options

SIZES: Final = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
TIMES: Final = {"": 1.0, "s": 1.0, "ms": 0.001, "min": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST_S: Final = {"sync_interval_s": 60.0, "linger_s": 86400.0, "retain_age_s": 1e10}
DEFAULTS: Final[dict[str, object]] = {
    "ring_size": 32 << 20,
    "segment_size": 64 << 20,
    "sync_interval_s": 0.010,
    "mode": 0o600,
    "linger_s": None,
    "retain_bytes": 0,
    "retain_age_s": 0.0,
    "recovery": "strict",
}


class Refused(Exception):
    """The settings are not allowed."""


def _require(condition: bool) -> None:
    if not condition:
        raise Refused


def _size(value: object) -> int:
    if isinstance(value, str):
        found = re.fullmatch(r"\s*([0-9]+)\s*([A-Za-z]*)\s*", value, re.ASCII)
        _require(found is not None and found[2].lower() in SIZES and len(found[1]) < 20)
        assert found is not None
        return int(found[1]) * SIZES[found[2].lower()]
    _require(type(value) is int)
    assert isinstance(value, int)
    return value


def _time(value: object) -> float:
    if isinstance(value, str):
        number = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
        found = re.fullmatch(rf"\s*{number}\s*([A-Za-z]*)\s*", value, re.ASCII)
        _require(found is not None and found[2].lower() in TIMES)
        assert found is not None
        return float(found[1]) * TIMES[found[2].lower()]
    _require(type(value) in (int, float))
    assert isinstance(value, (int, float))
    return value if abs(value) < 2**62 else float("inf")


def _meaning(key: str, value: object) -> object:
    if key in LONGEST_S:
        seconds = _time(value)
        _require(0 <= seconds <= LONGEST_S[key])
        return float(seconds)
    if key == "mode":
        if isinstance(value, str):
            found = re.fullmatch(r"\s*(?:0[oO]?)?([0-7]+)\s*", value, re.ASCII)
            value = int(found[1], 8) if found else None
        _require(type(value) is int and value in (0o600, 0o640, 0o660))
        return value
    if key == "recovery":
        _require(value in ("strict", "tail", "salvage"))
        return value
    size = _size(value)
    if key == "ring_size":
        _require(1 << 16 <= size <= 1 << 30 and size.bit_count() == 1)
    elif key == "segment_size":
        _require(1 << 13 <= size <= 1 << 34)
    else:
        _require(0 <= size < 1 << 63)
    return size


def meaning_of(data: bytes) -> dict[str, object]:
    """Return what the options should be; raises Refused."""
    try:
        table = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise Refused from error
    _require(table.keys() <= DEFAULTS.keys())
    return {**DEFAULTS, **{key: _meaning(key, value) for key, value in table.items()}}


@cache
def _place() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="logstore-settings-")


def check_settings(data: bytes) -> None:
    """Load the options of a directory with these bytes in its logstore.toml."""
    path = Path(_place().name)
    (path / "logstore.toml").write_bytes(data)
    expected: dict[str, object] | None
    try:
        expected = meaning_of(data)
    except Refused:
        expected = None
    try:
        found = asdict(Options.load(path))
    except InvalidArgument:
        assert expected is None, expected
    else:
        assert found == expected
