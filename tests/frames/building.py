"""Builds a library of the room's plain C and a test's own, for what Python cannot reach."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

import logstore.frames

ROOM = Path(logstore.frames.__file__).parent
COMPILER = shutil.which("cc") or shutil.which("gcc")


def build(folder: Path, exports: str, sources: list[str], *flags: str) -> ctypes.CDLL:
    """Compile `exports` with the named files of the room, and load the result.

    Skips the test where there is no C compiler.
    """
    if COMPILER is None:
        pytest.skip("no C compiler")
    (folder / "exports.c").write_text(exports)
    files = [folder / "exports.c", *(ROOM / source for source in sources)]
    options = ["-std=c11", "-O1", "-shared", "-fPIC", f"-I{ROOM.parent}", *flags]
    subprocess.run([COMPILER, *options, *files, "-o", folder / "exports.so"], check=True)
    return ctypes.CDLL(str(folder / "exports.so"))
