"""The stress run, short: processes are killed at random for ten seconds, and everything holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.stress import main


@pytest.mark.crash
def test_nothing_is_lost_while_processes_are_killed_at_random(seed: int, tmp_path: Path) -> None:
    assert main(["--seconds", "10", "--seed", str(seed), "--directory", str(tmp_path)]) == 0
