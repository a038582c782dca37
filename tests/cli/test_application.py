"""The command as a whole: its list, its exit codes, its error messages, what it imports."""

from __future__ import annotations

import inspect
import subprocess
import sys

import click
import pytest

from logstore import errors
from logstore.cli import exit_codes
from logstore.cli.application import COMMANDS, application
from tests.cli.running import call

ERROR_CLASSES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.LogstoreError)
]
CODES = {
    "Corruption": 4,
    "NotFound": 3,
    "Compacted": 3,
    "NotWritten": 3,
    "Lost": 3,
    "LimitReached": 7,
    "InUse": 5,
    "Timeout": 6,
    "NotRunning": 6,
    "Closed": 6,
    "RingFull": 7,
    "DiskFull": 7,
    "SharedMemoryFull": 7,
    "InvalidArgument": 2,
    "InvalidLSN": 2,
    "ReadOnly": 2,
}


@pytest.mark.parametrize("kind", ERROR_CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_class_has_its_exit_code(kind: type[errors.LogstoreError]) -> None:
    assert exit_codes.exit_code(kind("text")) == CODES.get(kind.__name__, 1)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_the_line_of_the_list(name: str) -> None:
    result = call(name, "--help")
    assert result.exit_code == 0
    context = click.Context(application)
    command = application.get_command(context, name)
    assert command is not None
    assert command.get_short_help_str(limit=200).rstrip(".") == COMMANDS[name].rstrip(".")


def test_help_lists_all_commands_and_the_exit_codes() -> None:
    result = call("--help")
    assert result.exit_code == 0
    assert all(f"  {name} " in result.output for name in COMMANDS)
    assert "4 corrupt" in result.output


def test_an_unknown_command_is_a_usage_error() -> None:
    result = call("frobnicate")
    assert result.exit_code == 2
    assert "No such command 'frobnicate'" in result.output


def test_help_imports_neither_rich_nor_a_subcommand() -> None:
    code = (
        "import sys\n"
        "from logstore.cli.application import application\n"
        "application(['--help'], standalone_mode=False)\n"
        "slow = {'rich', 'logstore.cli.demo', 'logstore.cli.top'} & set(sys.modules)\n"
        "sys.exit(str(slow) if slow else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("read", "x", "--start", "abc"), "'abc' is not a log position"),
        (("read", "x", "--start", "-8"), "must be from 0 to"),
        (("read", "x", "--end", "4097"), "must be a multiple of 8, not 4097"),
        (("read", "x", "--durability", "never"), "'never' is not one of"),
        (("read", "x", "--format", "xml"), "'xml' is not one of"),
        (("read", "x", "--since", "yesterday"), "'yesterday' is neither a time such as"),
        (("read", "x", "--since", "0001-01-01"), "'0001-01-01' is neither a time such as"),
        (("read", "x", "--since", "2026-01-31", "--start", "4096"), "exclude each other"),
        (("follow", "x", "--start", "4096", "--from-start"), "exclude each other"),
        (("checkpoint", "x"), "Missing argument 'GROUP'"),
        (("checkpoint", "x", "g"), "--up-to SEQ, or --range A-B"),
        (("checkpoint", "x", "g", "--up-to", "0"), "0 is not in the range"),
        (("checkpoint", "x", "g", "--range", "5"), "'5' is not a range A-B"),
        (("checkpoint", "x", "g", "--range", "5-4"), "'5-4' is not a range A-B"),
        (("checkpoint", "x", "g", "--range", "0-4"), "'0-4' is not a range A-B"),
        (("compact", "x", "--timeout", "-1"), "such as 10ms, 30s, 5min, 2h or 7d, not '-1'"),
        (("append", "x", "--batch", "0"), "0 is not in the range"),
        (("top", "x", "--interval", "0"), "--interval is 50ms at least"),
        (("demo", "--lines", "1"), "1 is not in the range"),
        (("status",), "Missing argument 'LOG'"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_wrong_argument_is_a_usage_error_that_says_why(
    arguments: tuple[str, ...], message: str
) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--ring-size", "3MiB", "ring_size must be a power of two"),
        ("--ring-size", "lots", "ring_size must be bytes or a size such as 64MiB"),
        ("--segment-size", "1", "segment_size must be from 8 KiB"),
        ("--sync-interval", "-1", "sync_interval_s must be seconds"),
        ("--retain-bytes", "-1", "retain_bytes must be bytes"),
        ("--retain-age", "week", "retain_age_s must be seconds"),
        ("--mode", "777", "mode must be 0o600"),
    ],
)
def test_serve_names_the_setting_that_is_wrong(
    tmp_path: object, option: str, value: str, message: str
) -> None:
    result = call("serve", f"{tmp_path}/log", option, value)
    assert result.exit_code == 2
    assert result.stderr.startswith("logstore: error: ")
    assert message in result.stderr
