"""Check what `pip wheel .` and `pip install .` give: `python tools/wheel_check.py [root]`.

In a throw-away virtual environment outside the source tree: one abi3 wheel, both compiled modules
in it, the workers inside the package and nowhere else, the types, and everything importable.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

EXPECTED = (
    "logstore/frames/_frame.abi3.so",
    "logstore/ring/_ring.abi3.so",
    "logstore/workers/__init__.py",
    "logstore/workers/supervisor.py",
    "logstore/frames/_frame.pyi",
    "logstore/ring/_ring.pyi",
    "logstore/py.typed",
)
LEFT_OUT = (".git", ".venv", "build", "dist", "*.egg-info", "*.so", "__pycache__", ".*_cache")
IMPORTS = """
import importlib.util, pathlib
import logstore, logstore.frames._frame, logstore.ring._ring, logstore.workers, logstore.cli
assert "site-packages" in logstore.__file__, logstore.__file__
assert importlib.util.find_spec("workers") is None, "workers is installed at the top level"
assert importlib.util.find_spec("logstore.workers.supervisor") is not None
print("imported from", pathlib.Path(logstore.__file__).parent)
"""


def problems_of(wheel: Path) -> list[str]:
    """Say what is missing from the wheel or has no place in it."""
    names = zipfile.ZipFile(wheel).namelist()
    found = [f"{wheel.name} lacks {name}" for name in EXPECTED if name not in names]
    if "-cp311-abi3-" not in wheel.name:
        found.append(f"{wheel.name} is not tagged cp311-abi3")
    top = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    if top != {"logstore"}:
        found.append(f"{wheel.name} installs {sorted(top)}, expected logstore alone")
    return found


def main(arguments: list[str]) -> int:
    """Build, install and import; 1 with the reasons if something is not right."""
    root = Path(arguments[0] if arguments else Path(__file__).parent.parent).resolve()
    with tempfile.TemporaryDirectory(prefix="logstore-wheel-") as scratch:
        place = Path(scratch)
        # A copy: setuptools would take stale files from a build/ that an earlier build left.
        source = place / "source"
        shutil.copytree(root, source, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
        venv.create(place / "venv", with_pip=True)
        python = str(place / "venv" / "bin" / "python")
        pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        subprocess.run([*pip, "wheel", "--no-deps", "-w", scratch, str(source)], check=True)
        (wheel,) = place.glob("logstore-*.whl")
        found = problems_of(wheel)
        subprocess.run([*pip, "install", str(source)], check=True)
        # From another directory, so that the source tree is not what gets imported.
        done = subprocess.run([python, "-c", IMPORTS], cwd=place, check=False)
        if done.returncode:
            found.append("the installed package cannot be imported")
    print("\n".join(found) or f"{wheel.name}: all there")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
