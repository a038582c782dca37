"""Snapshot files: a state, and which records it holds. Written aside and renamed, so never half."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from logstore.disk_errors import reading, writing
from logstore.errors import Corruption
from logstore.files import Directory
from logstore.frames import crc32c
from logstore.lsn import ALIGNMENT, MAXIMUM_LSN
from logstore.segments.ranges import RangeSet

FOLDER: Final = "snapshots"
_MAGIC: Final = b"LOGSTSNP"
_HEAD: Final = struct.Struct("<8sQQ")  # magic, resume LSN, length of the applied set
_CRC: Final = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Hold a state and what it is the state of.

    Attributes:
        resume_lsn: Records delivered below are in it.
        applied: The seqs that are in it.
        state: What the machine made.
    """

    resume_lsn: int
    applied: RangeSet
    state: bytes


def save(directory: Directory, group: str, snapshot: Snapshot) -> None:
    """Replace a group's snapshot; durable on return. One process at a time.

    Raises:
        DiskFull, SyncFailed, PermissionDenied: The old one is there still.
    """
    applied = snapshot.applied.encode()
    head = _HEAD.pack(_MAGIC, snapshot.resume_lsn, len(applied))
    body = head + applied + snapshot.state
    name, temporary = _name(group), f"{_name(group)}.tmp"
    with writing(name):
        directory.make_directory(FOLDER)
        if directory.exists(temporary):
            directory.unlink(temporary)
        fd = directory.create(temporary)
        try:
            directory.write(fd, body + _CRC.pack(crc32c(body)), 0)
            directory.sync_file(fd)
        finally:
            directory.close_file(fd)
        directory.rename(temporary, name)
        directory.sync(FOLDER)
        directory.sync()


def load(directory: Directory, group: str) -> Snapshot | None:
    """Return a group's snapshot, or None if there is none.

    Raises:
        Corruption: It is damaged.
        ReadFailed, PermissionDenied: It could not be read.
    """
    name = _name(group)
    with reading(name):
        if not directory.exists(name):
            return None
        fd = directory.open_read(name)
        try:
            data = directory.read(fd, directory.size(name), 0)
        finally:
            directory.close_file(fd)
    try:
        return _decode(data)
    except Corruption as error:
        error.path = directory.path / name
        raise


def _decode(data: bytes) -> Snapshot:
    body = data[: -_CRC.size]
    if len(data) < _HEAD.size + _CRC.size or _CRC.pack(crc32c(body)) != data[-_CRC.size :]:
        raise Corruption("the snapshot is damaged")
    magic, resume_lsn, length = _HEAD.unpack_from(body)
    if magic != _MAGIC:
        raise Corruption("this is no snapshot")
    applied, end = RangeSet.decode(body, _HEAD.size)
    if end != _HEAD.size + length or resume_lsn % ALIGNMENT or resume_lsn > MAXIMUM_LSN:
        raise Corruption("the fields of a snapshot contradict each other")
    return Snapshot(resume_lsn, applied, body[end:])


def _name(group: str) -> str:
    return f"{FOLDER}/{group.encode().hex()}.snapshot"
