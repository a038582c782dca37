"""Options: what is allowed, and which place wins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from logstore.errors import InvalidArgument, ReadFailed
from logstore.options import GIB, KIB, MIB, OPTIONS_FILE, Options, parse_seconds, parse_size


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("LOGSTORE_")]:
        monkeypatch.delenv(variable)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1048576", MIB),
        ("64MiB", 64 * MIB),
        ("1 GiB", GIB),
        (" 8 kib ", 8 * KIB),
        ("12B", 12),
    ],
)
def test_sizes_are_understood(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1.5MiB", "64MB", "1 2", "0x10", "١"])
def test_other_texts_are_no_size(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"ring_size must be bytes or a size such as 64MiB"):
        parse_size(text, name="ring_size")


@pytest.mark.parametrize(
    ("text", "time_s"),
    [
        ("0.01", 0.01),
        ("10ms", 0.01),
        ("2 s", 2.0),
        (".5", 0.5),
        ("10s", 10.0),
        ("5min", 300.0),
        ("1.5 h", 5400.0),
        ("2H", 7200.0),
        ("7d", 604800.0),
    ],
)
def test_times_are_understood(text: str, time_s: float) -> None:
    assert parse_seconds(text) == pytest.approx(time_s)


@pytest.mark.parametrize("text", ["", "ms", "-1", "10m", "1e3", "inf", "1h30min", "2 weeks"])
def test_other_texts_are_no_time(text: str) -> None:
    with pytest.raises(InvalidArgument, match="such as 10ms, 30s, 5min, 2h or 7d, not"):
        parse_seconds(text)


MODES = "0o600 (the owner), 0o640 (the group reads) or 0o660 (the group writes, too)"


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("recovery", "hope", "one of strict, tail, salvage"),
        ("ring_size", 32 * KIB, "a power of two from 64 KiB to 1 GiB"),
        ("ring_size", 96 * KIB, "a power of two from 64 KiB to 1 GiB"),
        ("ring_size", 2 * GIB, "a power of two from 64 KiB to 1 GiB"),
        ("ring_size", True, "bytes or a size"),
        ("ring_size", 65536.0, "bytes or a size"),
        ("segment_size", 4 * KIB, "from 8 KiB to 16 GiB"),
        ("segment_size", 17 * GIB, "from 8 KiB to 16 GiB"),
        ("sync_interval_s", -0.001, "from 0 to 60 seconds"),
        ("sync_interval_s", 61, "from 0 to 60 seconds"),
        ("sync_interval_s", float("nan"), "from 0 to 60 seconds"),
        ("sync_interval_s", False, "seconds or a time"),
        ("linger_s", -1, "from 0 to 86400 seconds"),
        ("mode", 0o666, MODES),
        ("mode", 600, MODES),
        ("mode", "rw", MODES),
        ("mode", None, MODES),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_and_what_is_allowed(
    key: str, value: object, allowed: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Options(**{key: value})  # type: ignore[arg-type]
    assert str(caught.value) == f"{key} must be {allowed}{str(caught.value).partition(allowed)[2]}"


def test_the_smallest_and_largest_values_are_allowed() -> None:
    Options(ring_size=64 * KIB, segment_size=8 * KIB, sync_interval_s=0.0, mode=0o660, linger_s=0)
    Options(ring_size=GIB, segment_size=16 * GIB, sync_interval_s=60.0, linger_s=86400.0)
    Options(mode=0o640, retain_bytes=2**63 - 1)


def test_without_any_place_the_defaults_hold(tmp_path: Path) -> None:
    assert Options.load(tmp_path) == Options(32 * MIB, 64 * MIB, 0.010, 0o600, None)


def test_a_directory_that_does_not_exist_yet_has_the_defaults(tmp_path: Path) -> None:
    assert Options.load(tmp_path / "new") == Options()


def test_a_flag_wins_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / OPTIONS_FILE).write_text(
        'ring_size = "1MiB"\nsegment_size = "1 MiB"\nmode = 0o660\nsync_interval_s = 1\n'
    )
    monkeypatch.setenv("LOGSTORE_SEGMENT_SIZE", "2MiB")
    monkeypatch.setenv("LOGSTORE_SYNC_INTERVAL", "20ms")
    options = Options.load(tmp_path, sync_interval_s=0.5, ring_size=None)
    assert options == Options(MIB, 2 * MIB, 0.5, 0o660, None)


def test_mode_is_octal_in_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("0660", "660", "0o660"):
        monkeypatch.setenv("LOGSTORE_MODE", text)
        assert Options.load(tmp_path).mode == 0o660


def test_a_wrong_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGSTORE_RING_SIZE", "lots")
    with pytest.raises(InvalidArgument, match="LOGSTORE_RING_SIZE must be bytes or a size"):
        Options.load(tmp_path)


def test_an_unknown_flag_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="unknown option 'ringsize'; there are ring_size,"):
        Options.load(tmp_path, ringsize=1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ring_sise = 1", "unknown field `ring_sise`"),
        ("ring_size = 1.5", r"Expected `int \| str`, got `float` - at `\$.ring_size`"),
        ("[mode]", r"got `object` - at `\$.mode`"),
        ("ring_size = 5", "ring_size in logstore.toml must be a power of two"),
        ("ring_size = ", "Invalid value"),
        ("a = '\xff'", "codec can't decode"),
        ("a = " + "[" * 5000, "recursion"),
        ("retain_bytes = '" + "9" * 5000 + "'", "retain_bytes in logstore.toml must be bytes or"),
        ("retain_bytes = 9223372036854775808", "a number of more than 63 bits"),
        ("retain_bytes = '8796093022208 MiB'", "must be bytes from 0 on"),
        ("linger_s = 0x" + "f" * 5000, "linger_s"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / OPTIONS_FILE).write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidArgument, match=message):
        Options.load(tmp_path)


def test_a_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("ring_size = 65536")
    (tmp_path / OPTIONS_FILE).symlink_to("other")
    with pytest.raises(ReadFailed):
        Options.load(tmp_path)


def test_the_file_parsers_are_imported_only_when_there_is_a_file(tmp_path: Path) -> None:
    script = (
        "import sys; from logstore.options import Options; Options.load(sys.argv[1]); "
        "print(sorted({'msgspec', 'tomllib'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
