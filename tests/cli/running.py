"""Calling the command, in this process or as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from logstore.cli.application import application

COMMAND = (sys.executable, "-m", "logstore.cli")


def call(*arguments: str | Path, given: bytes | None = None) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(application, [str(one) for one in arguments], input=given)


def call_process(
    *arguments: str | Path, given: bytes | None = None, timeout_s: float = 60.0
) -> subprocess.CompletedProcess[bytes]:
    """Run the command as a process, to its end."""
    command = [*COMMAND, *(str(one) for one in arguments)]
    return subprocess.run(
        command, input=given or b"", capture_output=True, timeout=timeout_s, check=False
    )


def json_lines(text: str | bytes) -> list[dict[str, Any]]:
    """Decode one object a line."""
    return [json.loads(line) for line in text.splitlines()]
