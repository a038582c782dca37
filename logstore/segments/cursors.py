"""`cursors/<name>`: one small text file for each named position of a consumer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from logstore.disk_errors import reading, writing
from logstore.errors import Corruption, IncompatibleFormat, InvalidArgument, NotFound
from logstore.files import Directory
from logstore.format import VERSION
from logstore.lsn import ALIGNMENT, MAXIMUM_LSN
from logstore.options import folder_mode
from logstore.segments import whole_file
from logstore.segments.whole_file import CRC_LINE_SIZE, crc_line

FOLDER: Final = "cursors"
_MAGIC: Final = "logstore-cursor"
_LARGEST: Final = 64 * 1024
# As a log's name, so no name is hidden, leads elsewhere, or is that of a temporary file.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def require_cursor_name(name: object) -> str:
    """Return `name` if a cursor can have it.

    Raises:
        InvalidArgument: It is empty, too long, or has other characters than letters, digits, ._-
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidArgument(
            f"a cursor's name is 1 to 63 letters, digits, '.', '_' or '-', "
            f"beginning with a letter or digit, not {name!r}"
        )
    return name


@dataclass(frozen=True, slots=True)
class SavedCursor:
    """Hold what a cursor's file says.

    Attributes:
        name: What the cursor is called.
        group: The group that it reads; None for all.
        position_lsn: Where reading goes on: what became visible below is done with.
        updated_ns: When this was saved, wall-clock.
    """

    name: str
    group: str | None
    position_lsn: int
    updated_ns: int

    def encode(self) -> bytes:
        """Return the text with its checksum."""
        lines = [
            f"{_MAGIC} {VERSION}",
            f"name {self.name}",
            *([] if self.group is None else [f"group {self.group}"]),
            f"position {self.position_lsn}",
            f"updated {self.updated_ns}",
        ]
        body = "".join(f"{line}\n" for line in lines).encode()
        return body + crc_line(body)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the text.

        Raises:
            Corruption: It is not exactly what some `encode` gave.
            IncompatibleFormat: It is whole, but of a version that is not known here.
        """
        body, last_line = data[:-CRC_LINE_SIZE], data[-CRC_LINE_SIZE:]
        if last_line != crc_line(body):
            raise Corruption("the checksum of the cursor is wrong")
        try:
            first, *lines, _ = body.decode().split("\n")
            if first.startswith(f"{_MAGIC} ") and first != f"{_MAGIC} {VERSION}":
                raise IncompatibleFormat(f"{first!r} is not known here")
            values = dict(line.split(" ", 1) for line in lines)
            position, updated = int(values["position"]), int(values["updated"])
            saved = cls(require_cursor_name(values["name"]), values.get("group"), position, updated)
        except (ValueError, KeyError) as error:
            raise Corruption(f"the cursor makes no sense: {error}") from error
        # One text for one meaning: whatever is not written exactly so is not ours.
        if saved.encode() != data or not (_is_position(position) and 0 <= updated < 2**64):
            raise Corruption("the cursor is not in its one right form")
        return saved


def _is_position(lsn: int) -> bool:
    return 0 < lsn <= MAXIMUM_LSN and lsn % ALIGNMENT == 0


def names(directory: Directory) -> list[str]:
    """Return the names of all cursors, sorted.

    Raises:
        ReadFailed, PermissionDenied: They could not be listed.
    """
    try:
        with reading(FOLDER):
            return sorted(name for name in directory.names(FOLDER) if _NAME.fullmatch(name))
    except NotFound:
        return []


def load(directory: Directory, name: str) -> SavedCursor | None:
    """Read a cursor's file; None if there is none.

    Raises:
        Corruption, IncompatibleFormat: It cannot be used.
        ReadFailed, PermissionDenied: It could not be read.
    """
    path = f"{FOLDER}/{name}"
    data = whole_file.load(directory, path, _LARGEST)
    if data is None:
        return None
    try:
        saved = SavedCursor.decode(data)
        if saved.name != name:
            raise Corruption(f"this is the file of the cursor {saved.name!r}")
    except (Corruption, IncompatibleFormat) as error:
        error.path = directory.path / path
        raise
    return saved


def save(directory: Directory, saved: SavedCursor, *, mode: int = 0o600) -> None:
    """Replace a cursor's file as a whole; durable on return. Only its holder may call this.

    Blocks on the disk. Crash: the old or the new one is there, whole.

    Raises:
        DiskFull, SyncFailed, PermissionDenied: The old one is still there, or, if syncing the
            folder failed, either.
    """
    path = f"{FOLDER}/{saved.name}"
    with writing(FOLDER):
        if not directory.exists(FOLDER):
            directory.make_directory(FOLDER, folder_mode(mode))
            directory.sync()
    whole_file.replace(
        directory,
        path,
        saved.encode(),
        temporary=f"{path}~",
        folder=FOLDER,
        mode=mode,
        what="cursor",
    )


def delete(directory: Directory, name: str) -> None:
    """Remove a cursor's file; durable on return. Only its holder may call this.

    Raises:
        NotFound: There is no such cursor.
        SyncFailed, PermissionDenied: It could not be removed.
    """
    path = f"{FOLDER}/{name}"
    with reading(f"the cursor {name!r}"):
        directory.size(path)
    with writing(path):
        directory.unlink(path)
        directory.sync(FOLDER)
