"""The arguments and options that several subcommands share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from logstore.errors import InvalidLSN
from logstore.lsn import DURABILITIES, Durability, require_lsn

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


def parsed_time(text: str) -> datetime:
    """Read an ISO 8601 date or time; without a time zone it is local time.

    Raises:
        click.BadParameter: It is none.
    """
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as error:
        text = f"{text!r} is not an ISO time such as 2026-01-31T18:00 or 2026-01-31T17:00:00Z"
        raise click.BadParameter(text) from error


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
