"""Recovering an image in memory with the product's own recovery, and asking what came of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from logstore.cli.files_alone import FilesAlone
from logstore.errors import LogstoreError, NotFound
from logstore.files import Directory
from logstore.segments.quarantine import QUARANTINE
from logstore.segments.recover import Recovered, recover
from tests.memory_directory import MemoryDirectory
from tests.power.history import History, Seen
from tests.power.recording import Image


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an image.

    Attributes:
        end: Where the recovered log ends; 0: there is no log.
        trouble: What is wrong with it, whoever was told what; "" if nothing.
        leftovers: There are segments that compaction had dropped, and that are to be removed.
    """

    end: int
    trouble: str = ""
    leftovers: bool = False


def directory_of(image: Image) -> MemoryDirectory:
    """Return a directory with an image's files."""
    made = MemoryDirectory()
    made.files = {name: bytearray(data) for name, data in image.files.items()}
    made.folders = set(image.folders)
    return made


def image_of(directory: Directory) -> Image:
    """Return the files of a directory in memory."""
    assert isinstance(directory, MemoryDirectory)
    files = {name: bytes(data) for name, data in directory.files.items()}
    return Image(files, frozenset(directory.folders))


def outcome(image: Image, history: History, known: dict[int, Outcome]) -> Outcome:
    """Recover an image and compare what it shows with what was appended.

    Args:
        image: What is on the disk.
        history: What was appended.
        known: What came of images of this history, by what recovery made of them; many images lead
            to the same files, and these are judged once.
    """
    directory = directory_of(image)
    try:
        recovered = recover(directory)
    except NotFound:
        return Outcome(0)
    except LogstoreError as error:
        return Outcome(0, f"6: recovery refuses: {type(error).__name__}: {error}")
    for name in recovered.leftovers:
        directory.unlink(
            name
        )  # as the committer does when it comes up; `Explorer` sees that it does
    made = _made(directory, recovered)
    if made not in known:
        known[made] = _judged(directory, recovered, history)
    return replace(known[made], leftovers=bool(recovered.leftovers))


def _made(directory: MemoryDirectory, recovered: Recovered) -> int:
    """Return a number for what recovery made: its answer, and all files.

    Of what it put aside only the names: nothing reads that again.
    """
    files = {
        (name, b"" if name.startswith(f"{QUARANTINE}/") else bytes(data))
        for name, data in directory.files.items()
    }
    footer = b"" if recovered.footer is None else recovered.footer.encode()
    return hash((recovered.manifest, recovered.end_lsn, footer, frozenset(files)))


def _judged(directory: MemoryDirectory, recovered: Recovered, history: History) -> Outcome:
    end = recovered.end_lsn
    try:
        seen = records_of(directory, recovered)
    except LogstoreError as error:
        return Outcome(end, f"6: recovered and not readable: {type(error).__name__}: {error}")
    trouble = history.trouble(end, seen, dropped(recovered)) or _again(directory, recovered)
    return Outcome(end, trouble)


def records_of(directory: MemoryDirectory, recovered: Recovered) -> list[Seen]:
    """Return what a reader sees of a recovered log."""
    log = FilesAlone(directory, recovered.manifest)
    return [(r.lsn, r.group, r.seq, bytes(r.payload)) for r in log.read()]


def dropped(recovered: Recovered) -> list[tuple[int, int]]:
    """Return the intervals of LSNs that no segment covers."""
    gaps = []
    at = 4096
    for one in recovered.manifest.sealed:
        if one.base_lsn > at:
            gaps.append((at, one.base_lsn))
        at = one.end_lsn
    return gaps


def _again(directory: MemoryDirectory, recovered: Recovered) -> str:
    """Recover once more: the same bytes and the same end, and nothing to cut."""
    before = {name: bytes(data) for name, data in directory.files.items()}
    try:
        again = recover(directory)
    except LogstoreError as error:
        return f"3: the second recovery refuses: {type(error).__name__}: {error}"
    changed = [
        name for name in before | directory.files if before.get(name) != directory.files.get(name)
    ]
    if changed:
        return f"3: the second recovery changes {changed}"
    if again != replace(recovered, quarantined=(), cut_bytes=0, leftovers=()):
        return "3: the second recovery says something else"
    return ""
