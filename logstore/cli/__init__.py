"""The `logstore` command: one module for each subcommand, loaded when it is called."""

from __future__ import annotations


def main() -> None:
    """Run the command with the process's arguments, and exit."""
    from logstore.cli.application import application

    application(prog_name="logstore")
