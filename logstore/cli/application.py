"""The command group: finds subcommands without importing them, and turns errors into exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Final

import click

from logstore.cli import exit_codes
from logstore.errors import LogstoreError

# Name: the line in --help. The subcommand is `command` in logstore.cli.<name>.
COMMANDS: Final = {
    "serve": "Run the service of a log in the foreground.",
    "append": "Append lines or length-prefixed records.",
    "read": "Print records from the log's start or from an LSN on.",
    "follow": "Print records as they become durable, like tail -f.",
    "groups": "List the groups and how far each is.",
    "cursors": "List durable cursors; move or delete one.",
    "checkpoint": "Say which records of a group nobody needs any more.",
    "compact": "Drop the segments that nobody needs any more.",
    "revert": "Hide everything from an LSN on.",
    "status": "Show what the service and its clients do.",
    "top": "Watch the service live.",
    "verify": "Check every byte on disk; safe on a live log.",
    "repair": "Bring a damaged log to where it can be opened again.",
    "dump": "Show headers, footers and the manifest.",
    "demo": "Run the whole log on real input, with two kills, and compare every line.",
}

EPILOG: Final = """\b
Examples:
  logstore serve data/orders &
  cat lines.txt | logstore append data/orders - --durability synced
  logstore read orders | head
  logstore status orders --json

Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 corrupt, 5 in use,
6 timeout or not running, 7 full, 130 interrupted.

\b
Completion, for bash (zsh and fish alike):
  eval "$(_LOGSTORE_COMPLETE=bash_source logstore)"
"""


class Application(click.Group):
    """Load a subcommand's module when it is called, so that `--help` starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the subcommands in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one subcommand."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"logstore.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands from the table, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run the subcommand; what it returns, or the error that it raised, is the exit code."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader has enough, as in `logstore read orders | head`.
            _forget_output()
            ctx.exit(exit_codes.OK)
        except KeyboardInterrupt:
            ctx.exit(exit_codes.INTERRUPTED)
        except LogstoreError as error:
            complain(str(error))
            ctx.exit(exit_codes.exit_code(error))
        except OSError as error:
            place = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
            complain(f"{place}{error.strerror or error}")
            ctx.exit(exit_codes.exit_code(error))
        if isinstance(code, int):
            ctx.exit(code)
        return code


def complain(message: str) -> None:
    """Print an error message the way every command does."""
    click.echo(f"logstore: error: {message}", err=True)


def _forget_output() -> None:
    """Point standard output nowhere, so that the flush at exit does not fail again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


@click.group(
    cls=Application, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(None, "--version", package_name="logstore", prog_name="logstore")
def application() -> None:
    """One ordered, durable log, shared by the processes of this machine.

    LOG is a log's name or its directory; a directory works also when no service runs.
    """
