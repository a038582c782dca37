"""The place for bytes that recovery takes out of the log: they are kept, never deleted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Final

from logstore.disk_errors import reading
from logstore.files import Directory
from logstore.segments.survey import CHUNK

QUARANTINE: Final = "quarantine"
_TEMPORARY: Final = f"{QUARANTINE}/copy.tmp"


def copy_aside(
    directory: Directory, fd: int, offset: int, end: int, stem: str, *, mode: int = 0o600
) -> str:
    """Copy bytes of an open file into the quarantine; durable on return.

    Doing it again with the same bytes makes no second copy; other bytes under the same stem
    get a name of their own.

    Args:
        directory: The data directory.
        fd: The file.
        offset: Where the bytes begin.
        end: Where they end.
        stem: What to call them: segment, LSN and epoch.
        mode: Permissions of the copy.

    Returns:
        The copy's name.

    Raises:
        OSError: There is no whole copy.
    """
    _make_quarantine(directory)
    for name in _names(stem):
        if not directory.exists(name):
            break
        if _same(directory, fd, offset, end, name):
            return name
    if directory.exists(_TEMPORARY):
        directory.unlink(_TEMPORARY)
    copy = directory.create(_TEMPORARY, mode)
    try:
        for at in range(offset, end, CHUNK):
            directory.write(copy, _read(directory, fd, min(CHUNK, end - at), at), at - offset)
        directory.sync_file(copy)
    finally:
        directory.close_file(copy)
    # Crash: a half-written copy has the temporary name and is written anew.
    directory.rename(_TEMPORARY, name)
    directory.sync(QUARANTINE)
    return name


def move_aside(directory: Directory, name: str, stem: str) -> str:
    """Move a whole file into the quarantine; durable after `Directory.sync`.

    Returns:
        Its new name.

    Raises:
        OSError: It is where it was.
    """
    _make_quarantine(directory)
    target = next(target for target in _names(stem) if not directory.exists(target))
    directory.rename(name, target)
    directory.sync(QUARANTINE)
    return target


def _make_quarantine(directory: Directory) -> None:
    if not directory.exists(QUARANTINE):
        directory.make_directory(QUARANTINE)
        directory.sync()


def _names(stem: str) -> Iterator[str]:
    yield f"{QUARANTINE}/{stem}.bytes"
    yield from (f"{QUARANTINE}/{stem}.{number}.bytes" for number in count(2))


def _same(directory: Directory, fd: int, offset: int, end: int, name: str) -> bool:
    if directory.size(name) != end - offset:
        return False
    copy = directory.open_read(name)
    try:
        return all(
            _read(directory, fd, min(CHUNK, end - at), at)
            == directory.read(copy, CHUNK, at - offset)
            for at in range(offset, end, CHUNK)
        )
    finally:
        directory.close_file(copy)


def _read(directory: Directory, fd: int, length: int, offset: int) -> bytes:
    with reading("what recovery would cut"):
        return directory.read(fd, length, offset)
