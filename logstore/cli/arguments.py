"""The arguments and options that several subcommands share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click

from logstore.errors import InvalidArgument, InvalidLSN
from logstore.lsn import DURABILITIES, Durability, require_lsn
from logstore.options import parse_seconds

_Command = TypeVar("_Command", bound=Callable[..., Any])


def lsn_option(flag: str, meaning: str) -> Callable[[_Command], _Command]:
    """Declare an option that takes a log position, as `append` and `read` print it."""
    return click.option(flag, type=parsed_lsn, metavar="LSN", help=meaning)


def parsed_lsn(text: str) -> int:
    """Read a log position.

    Raises:
        click.BadParameter: It is none.
    """
    try:
        return require_lsn(int(text))
    except InvalidLSN as error:
        raise click.BadParameter(error.message) from error
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a log position") from error


def parsed_seconds(text: str) -> float:
    """Read how long something takes, such as 500ms, 10s, 5min, 2h, 7d or a number of seconds.

    Raises:
        click.BadParameter: It is nothing of that kind.
    """
    try:
        return parse_seconds(text, name="a time")
    except InvalidArgument as error:
        raise click.BadParameter(error.message) from error


def parsed_time(text: str) -> datetime:
    """Read an ISO 8601 date or time, local without a time zone; or how long ago, such as 2h.

    Raises:
        click.BadParameter: It is neither.
    """
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        pass
    try:
        ago_s = parse_seconds(text if text[-1:].isalpha() else "a bare number")
        return datetime.now().astimezone() - timedelta(seconds=ago_s)
    except (InvalidArgument, OverflowError) as error:
        text = f"{text!r} is neither a time such as 2026-01-31T18:00 or 2026-01-31T17:00:00Z nor "
        raise click.BadParameter(f"{text}how long ago, such as 30s, 5min, 2h or 7d") from error


log_argument = click.argument("log", metavar="LOG")

group_option = click.option("--group", metavar="NAME", help="Records of this group alone.")

yes_option = click.option("--yes", is_flag=True, help="Do it; without this nothing is changed.")

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON objects, one a line, for programs."
)


def durability_option(default: Durability, meaning: str) -> Callable[[_Command], _Command]:
    """Declare --durability with this default; `meaning` says what it chooses here."""
    return click.option(
        "--durability",
        type=click.Choice(DURABILITIES),
        default=default,
        show_default=True,
        help=meaning,
    )
