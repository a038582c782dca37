"""The same image on a real disk, through the real command in a process of its own."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

from tests.cli.running import call_process, json_lines
from tests.power.history import History, Seen
from tests.power.recording import Image


def lay_out(path: Path, image: Image) -> None:
    """Write an image's files into a new directory."""
    path.mkdir()
    for folder in image.folders:
        (path / folder).mkdir()
    for name, data in image.files.items():
        (path / name).write_bytes(data)


def agrees(path: Path, image: Image, end: int, history: History) -> str:
    """Say in what the command's answers differ from those in memory; "" if in nothing.

    The files are as the power loss left them: `verify` and `read` must see what recovery will make
    of them.

    Args:
        path: A place for a directory.
        image: What is in it.
        end: Where the log ends when it is recovered in memory; 0: there is no log.
        history: What it shows then, but for what compaction has dropped.
    """
    lay_out(path, image)
    try:
        verified = call_process("verify", path, "--json")
        if not end:
            return "" if verified.returncode == 3 else f"verify of no log: {verified.returncode}"
        summary = json_lines(verified.stdout)[-1] if verified.stdout else {}
        found = (verified.returncode, summary.get("verdict"), summary.get("end_lsn"))
        if found != (0, "sound", end):
            return f"verify says {found}, recovery in memory ends at {end}: {verified.stderr!r}"
        printed = call_process("read", path, "--format", "json")
        seen = [_seen(json.loads(line)) for line in printed.stdout.splitlines()]
        wanted = history.expected(end)
        # What compaction has dropped was judged in memory already.
        missing = history.needed(end).difference(seen)
        if printed.returncode or missing or any(one not in wanted for one in seen):
            return f"read ({printed.returncode}) shows {len(seen)} records, not {len(wanted)}"
        return ""
    finally:
        shutil.rmtree(path)


def _seen(record: dict[str, object]) -> Seen:
    text = record.get("payload")
    encoded = str(record.get("payload_base64"))
    payload = text.encode() if isinstance(text, str) else base64.b64decode(encoded)
    lsn, seq = record["lsn"], record["seq"]
    assert isinstance(lsn, int)
    assert isinstance(seq, int)
    return lsn, str(record["group"]), seq, payload
