"""Small text files that are read and replaced as a whole, and end with a checksum."""

from __future__ import annotations

from logstore.disk_errors import reading, writing
from logstore.errors import NotFound
from logstore.files import Directory
from logstore.frames import crc32c
from logstore.points import point

CRC_LINE_SIZE = 13


def crc_line(body: bytes) -> bytes:
    """Return the last line of such a file: the checksum of everything above it."""
    return f"crc {crc32c(body):08x}\n".encode()


def load(directory: Directory, name: str, largest: int) -> bytes | None:
    """Read a file; None if it is not there.

    Raises:
        ReadFailed, PermissionDenied: It could not be read.
    """
    try:
        with reading(name):
            fd = directory.open_read(name)
            try:
                return directory.read(fd, largest, 0)
            finally:
                directory.close_file(fd)
    except NotFound:
        return None


def replace(
    directory: Directory,
    name: str,
    data: bytes,
    *,
    temporary: str,
    folder: str,
    mode: int,
    what: str,
) -> None:
    """Give a file new contents; durable on return, and so are all renames in its folder before.

    Blocks on the disk. Crash: the old or the new contents are there, whole. One process at a time
    may call this for a name.

    Args:
        directory: The data directory.
        name: The file.
        data: Its new contents.
        temporary: A name in the same folder that nothing else uses.
        folder: Where both are.
        mode: Permissions.
        what: Kind of file, for the names of the points at which a test makes a process die.

    Raises:
        DiskFull, SyncFailed, PermissionDenied: The old ones are still there, or, if syncing the
            folder failed, either.
    """
    with writing(name):
        if directory.exists(temporary):
            directory.unlink(temporary)
        fd = directory.create(temporary, mode)
        try:
            directory.write(fd, data, 0)
            # Order: the new text is durable before it takes the old one's name.
            directory.sync_file(fd)
        finally:
            directory.close_file(fd)
        point(f"{what}.written")
        directory.rename(temporary, name)
        point(f"{what}.renamed")
        directory.sync(folder)
