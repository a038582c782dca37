"""The runner of the ring's model. What spin says is a step of the long check."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.service import ROOT
from tools.model_check import BROKEN, MODEL


def test_without_spin_it_says_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.model_check", "--quick"],
        cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == (
        "model_check: spin is missing; install it (Debian: apt-get install spin)\n"
    )


def test_every_bug_that_the_model_can_plant_is_planted() -> None:
    configured = {"REBORN", "ANY_TIME", "NO_SUPERVISOR", "SUPERVISOR_LIVES"}
    asked = set(re.findall(r"^#ifn?def (\w+)", MODEL.read_text(), re.MULTILINE))
    asked -= {"WRITERS", "APPENDS", "SLOTS", "CRASHES"}
    assert asked - configured == {case.defines.split()[0] for case in BROKEN}
