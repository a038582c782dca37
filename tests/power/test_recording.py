"""The recorder against strace: what it writes down is what the kernel was asked to do."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.power.traced import Call
from tests.service import ROOT

# Everything by which a process can change a file, a name, or what of them is durable.
CHANGING: Final = (
    "creat,open,openat,openat2,write,writev,pwrite64,pwritev,pwritev2,truncate,ftruncate,fallocate,"
    "rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,"
    "fsync,fdatasync,sync,syncfs,sync_file_range,copy_file_range,sendfile,splice"
)
UNFINISHED: Final = " <unfinished ...>"
_NAME: Final = r'\d+<(?P<at>[^>]*)>, "(?P<name>[^"]*)"'
_FD: Final = r"\d+<(?P<path>[^>]*)>"
FORMS: Final = {
    re.compile(rf"openat\({_NAME}, [A-Z_|]*O_CREAT"): "create",
    re.compile(rf"unlinkat\({_NAME}, 0\)"): "unlink",
    re.compile(rf"mkdirat\({_NAME}"): "folder",
    re.compile(rf'renameat\({_NAME}, \d+<[^>]*>, "(?P<to>[^"]*)"\)'): "rename",
    re.compile(
        rf'pwrite64\({_FD}, "[^"]*"(\.\.\.)?, (?P<length>\d+), (?P<number>\d+)\) += (?P=length)'
    ): "write",
    re.compile(rf"ftruncate\({_FD}, (?P<number>\d+)\)"): "size",
    re.compile(rf"fallocate\({_FD}, 0, 0, (?P<number>\d+)\)"): "size",
    re.compile(rf"fdatasync\({_FD}\)"): "sync",
    re.compile(rf"fsync\({_FD}\)"): "sync_names",
}


def _joined(lines: list[str]) -> Iterator[str]:
    """Put together the calls of which strace tells in two lines, as another thread came between."""
    begun: dict[str, str] = {}
    for line in lines:
        thread, _, call = line.partition(" ")
        resumed = re.match(r"\s*<\.\.\. \w+ resumed>", call)
        if call.endswith(UNFINISHED):
            begun[thread] = call.removesuffix(UNFINISHED)
        elif resumed:
            yield begun.pop(thread) + call[resumed.end() :]
        else:
            yield call


def _calls(lines: list[str], place: Path) -> Iterator[Call]:
    """Iterate over the changing calls that concern the directory; an unknown one is shown whole."""
    for call in map(str.strip, _joined(lines)):
        if str(place) not in call or " = -1 " in call:
            continue
        if re.match(r"openat2?\(", call) and "O_CREAT" not in call and "O_TRUNC" not in call:
            continue
        for form, what in FORMS.items():
            match = form.match(call)
            if match is not None:
                yield _told(what, match.groupdict(), place)
                break
        else:
            yield "unknown", call, 0


def _told(what: str, found: dict[str, str | None], place: Path) -> Call:
    number = int(found.get("number") or 0)
    if what == "write":
        number = number * 1_000_000 + int(found["length"] or 0)
    if found.get("to"):
        return what, f"{found['name']}>{found['to']}", 0
    name = found.get("name") or str(Path(found["path"] or "").relative_to(place))
    return what, name, number


@pytest.mark.process
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_strace_shows_the_same_calls_as_the_recorder(place: Path, tmp_path: Path) -> None:
    report = tmp_path / "strace.out"
    command = ["strace", "-f", "-y", "-s", "0", "-e", f"trace={CHANGING}", "-o", str(report)]
    command += [sys.executable, "-m", "tests.power.traced", str(place)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
    )
    if "PTRACE" in done.stderr or "ptrace" in done.stderr:
        pytest.skip(f"strace may not trace here: {done.stderr.splitlines()[0]}")
    assert done.returncode == 0, done.stderr
    recorded = [
        (what, name, int(number)) for what, name, number in map(str.split, done.stdout.splitlines())
    ]
    # Made before the recorder begins, or by who locks: the directory itself and `lock`.
    others = (f'"{place}"', f'"{place}/lock"')
    lines = [line for line in report.read_text().splitlines() if not any(o in line for o in others)]
    assert len(recorded) > 100
    assert list(_calls(lines, place)) == recorded
