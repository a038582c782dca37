"""The region: one shared-memory object and one semaphore per running log, found by name.

Only the supervisor creates and removes it. Everybody else attaches, checks the identity, and never
changes the size. The magic number is stored last, so a half-made region is never taken for one.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import posix_ipc

from logstore.errors import (
    Corruption,
    IncompatibleFormat,
    InUse,
    InvalidArgument,
    NotRunning,
    PermissionDenied,
    SharedMemoryFull,
)
from logstore.points import point
from logstore.ring._ring import LAYOUT, Ring
from logstore.ring.layout import HEADER_SIZE, group_offset

SHM: Final = Path("/dev/shm")
DEFAULT_GROUP: Final = "default"
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.ENOMEM, errno.EFBIG})
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_NUMBERS: Final = struct.Struct("<QII16s16sQQQQQQQ")  # as struct ls_identity begins, magic included


@dataclass(frozen=True, slots=True)
class Identity:
    """Say which log, which incarnation and which boot a region belongs to; never changes."""

    uuid: bytes
    boot_id: bytes
    epoch: int
    salt: int
    ring_size: int
    segment_size: int
    sync_interval_ns: int
    created_ns: int
    mode: int
    name: str
    directory: Path


def require_name(name: str) -> str:
    """Return `name` if it can name a log.

    Raises:
        InvalidArgument: It is empty, too long, or has other characters than letters, digits, ._-
    """
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    allowed = "1 to 63 letters, digits, '.', '_' or '-', beginning with a letter or digit"
    raise InvalidArgument(f"a log's name is {allowed}, not {name!r}")


def shared_name(name: str) -> str:
    """Return the name of the shared-memory object and of the semaphore."""
    return f"/logstore.{name}"


def boot_id() -> bytes:
    """Return the kernel's identity of this boot, 16 bytes."""
    text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    return bytes.fromhex(text.strip().replace("-", ""))


def create(
    identity: Identity,
    *,
    start_lsn: int,
    head_lsn: int,
    groups: Iterable[tuple[int, str, int]] = (),
    newest_revert_lsn: int = 0,
) -> Ring:
    """Create region and semaphore, and map the region. The supervisor's lock must be held.

    All memory is allocated here, so a full /dev/shm is an error now and never a SIGBUS later.

    Args:
        identity: Which log, which incarnation.
        start_lsn: The oldest LSN there is.
        head_lsn: Where the next frame will be.
        groups: (id, name, last seq) of every group so far, by id.
        newest_revert_lsn: 0 if nothing is hidden.

    Raises:
        InUse: The name is taken by another log.
        PermissionDenied: The name is taken by another user's object.
        SharedMemoryFull: /dev/shm has no room; the message says how much is needed.
    """
    name, mode = shared_name(identity.name), identity.mode
    size = HEADER_SIZE + identity.ring_size
    try:
        memory = posix_ipc.SharedMemory(name, posix_ipc.O_CREX, mode=mode)
    except posix_ipc.ExistentialError:
        raise InUse(f"a log named {identity.name!r} is there already", path=SHM) from None
    except (posix_ipc.PermissionsError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise _full(size, error) from error
        raise PermissionDenied(f"cannot create shared memory {name}: {error}", path=SHM) from error
    try:
        os.posix_fallocate(memory.fd, 0, size)
        os.fchmod(memory.fd, mode)
        point("create.allocated")
        _make_semaphore(name, mode)
        point("create.semaphore")
        ring = Ring(memory.fd, identity.ring_size, identity.salt, name)
        _write_identity(ring, identity)
        for field in ("head", "intent", "published", "written", "synced"):
            ring.store(LAYOUT[field], head_lsn)
        ring.store(LAYOUT["start"], start_lsn)
        ring.store(LAYOUT["checkpointed"], start_lsn)
        _write_groups(ring, groups)
        ring.store(LAYOUT["newest_revert_lsn"], newest_revert_lsn)
        ring.store(LAYOUT["revert_count"], min(newest_revert_lsn, 1))
        ring.store(LAYOUT["identity.magic"], LAYOUT["MAGIC"])
        point("create.done")
    except BaseException as error:
        unlink(identity.name)
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise _full(size, error) from error
        raise
    finally:
        memory.close_fd()
    return ring


def _full(size: int, error: OSError) -> SharedMemoryFull:
    free = os.statvfs(SHM).f_bavail * os.statvfs(SHM).f_frsize
    return SharedMemoryFull(
        f"the ring needs {size} bytes of shared memory, the semaphore a page, and {SHM} has {free} "
        "left: choose a smaller ring_size, or make it larger (docker run --shm-size)",
        path=SHM,
        errno=error.errno,
    )


def _make_semaphore(name: str, mode: int) -> None:
    # One without a region is what a supervisor killed right here left behind.
    try:
        posix_ipc.unlink_semaphore(name)
    except posix_ipc.ExistentialError:
        pass
    except (posix_ipc.PermissionsError, OSError) as error:
        raise PermissionDenied(f"semaphore {name} belongs to somebody else", path=SHM) from error
    mask = os.umask(0)
    try:
        posix_ipc.Semaphore(name, posix_ipc.O_CREX, mode=mode, initial_value=1).close()
    finally:
        os.umask(mask)


def _write_groups(ring: Ring, groups: Iterable[tuple[int, str, int]]) -> None:
    count = 1
    for number, name, last_seq in [(0, DEFAULT_GROUP, 0), *groups]:
        ring.write_header(group_offset(number, "name"), name.encode() + b"\0")
        for field in ("seq", "written_seq", "synced_seq"):
            ring.store(group_offset(number, field), last_seq)
        count = max(count, number + 1)
    ring.store(LAYOUT["group_count"], count)


def _write_identity(ring: Ring, identity: Identity) -> None:
    text = os.fsencode(identity.directory)
    if len(text) >= LAYOUT["directory.size"]:
        raise InvalidArgument(f"the directory's path has {len(text)} bytes, too many")
    ring.write_header(LAYOUT["identity.directory"], text + b"\0")
    ring.write_header(LAYOUT["identity.name"], identity.name.encode() + b"\0")
    numbers = _NUMBERS.pack(
        0,
        LAYOUT["LAYOUT_VERSION"],
        HEADER_SIZE,
        identity.uuid,
        identity.boot_id,
        identity.epoch,
        identity.salt,
        identity.ring_size,
        identity.segment_size,
        identity.sync_interval_ns,
        identity.created_ns,
        identity.mode,
    )
    ring.write_header(0, numbers)


def attach(name: str, *, read_only: bool = False) -> tuple[Ring, Identity]:
    """Map a running log's region and return it with its identity, both checked.

    Raises:
        NotRunning: There is no region of this name, or it is just being made.
        IncompatibleFormat: The service speaks another layout.
        PermissionDenied: This process may not open it.
        Corruption: It is no region, or its identity makes no sense.
    """
    place = SHM / shared_name(name)[1:]
    fd = _open(name, place, read_only=read_only)
    try:
        identity = _read_identity(fd, place)
        semaphore = None if read_only else shared_name(name)
        return Ring(fd, identity.ring_size, identity.salt, semaphore), identity
    except FileNotFoundError as error:
        raise NotRunning(f"the log {name!r} is just starting or stopping") from error
    except PermissionError as error:
        if isinstance(error, PermissionDenied):
            raise
        told = f"cannot open the semaphore of {name!r}"
        raise PermissionDenied(told, path=place, errno=error.errno) from error
    finally:
        os.close(fd)


def _open(name: str, place: Path, *, read_only: bool) -> int:
    """Open the shared-memory object as `shm_open` does, without hanging on a fifo of its name."""
    access = os.O_RDONLY if read_only else os.O_RDWR
    try:
        return os.open(place, access | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        told = f"no log named {name!r} is running; start it with `logstore serve`"
        raise NotRunning(told) from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise Corruption("not a shared-memory object", path=place) from error
        raise PermissionDenied(
            f"cannot attach to the log {name!r}: its service runs as another user",
            path=place,
            errno=error.errno,
        ) from error


def _read_identity(fd: int, place: Path) -> Identity:
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise Corruption("not a shared-memory object", path=place)
    if found.st_uid not in (0, os.geteuid()) and os.geteuid() != 0 and not _group_may(found):
        raise PermissionDenied(f"the region belongs to uid {found.st_uid}", path=place)
    header = os.pread(fd, 4096, 0)
    if not any(header[:8]):
        raise NotRunning("the log is just starting", path=place)
    if len(header) < 4096:
        raise Corruption("not a region of logstore", path=place)
    magic, version, header_size, uuid, boot, epoch, salt, ring, *rest = _NUMBERS.unpack_from(header)
    segment, interval, created, mode = rest
    if magic != LAYOUT["MAGIC"]:
        raise Corruption("not a region of logstore", path=place)
    if version != LAYOUT["LAYOUT_VERSION"] or header_size != HEADER_SIZE:
        raise IncompatibleFormat(
            f"the service speaks region layout {version}, this library "
            f"{LAYOUT['LAYOUT_VERSION']}: restart the service with the same version",
            path=place,
        )
    if ring & (ring - 1) or found.st_size != HEADER_SIZE + ring or salt >= 1 << 32:
        raise Corruption(f"a region of {found.st_size} bytes with a ring of {ring}", path=place)
    return Identity(
        uuid=uuid,
        boot_id=boot,
        epoch=epoch,
        salt=salt,
        ring_size=ring,
        segment_size=segment,
        sync_interval_ns=interval,
        created_ns=created,
        mode=mode,
        name=_text(header, "name"),
        directory=Path(_text(header, "directory")),
    )


def _group_may(found: os.stat_result) -> bool:
    member = found.st_gid == os.getegid() or found.st_gid in os.getgroups()
    return member and bool(found.st_mode & stat.S_IRGRP)


def _text(header: bytes, field: str) -> str:
    raw = header[LAYOUT[f"identity.{field}"] :][: LAYOUT[f"{field}.size"]]
    return os.fsdecode(raw.split(b"\0", 1)[0])


def unlink(name: str) -> None:
    """Remove region and semaphore; who has them mapped keeps them; missing ones are fine."""
    for remove in (posix_ipc.unlink_shared_memory, posix_ipc.unlink_semaphore):
        try:
            remove(shared_name(name))
        except posix_ipc.ExistentialError:
            continue
        except (posix_ipc.PermissionsError, OSError) as error:
            raise PermissionDenied(f"cannot remove {shared_name(name)}", path=SHM) from error
