"""Whole data directories whose bytes were changed: verified, recovered, read and repaired.

An input names a small log, and what is changed in its files. Frames, headers, footers and texts
that were changed get right checksums again if the input says so. Whatever comes of it: the
documented errors and no others, and never a record that no frame holds.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Final

from logstore.cli.verifying import Verification
from logstore.errors import Corruption, IncompatibleFormat, LogstoreError
from logstore.format import Kind
from logstore.payloads import Commit, encode_commit, encode_part
from logstore.segments.fold import catalog_at
from logstore.segments.mending import repair
from logstore.segments.recover import Recovered, recover
from logstore.segments.repair import plan_repair
from tests.frames.reference import decode
from tests.hostile.sealing import sealed_footer, sealed_frames, sealed_header, sealed_text
from tests.memory_directory import MemoryDirectory
from tests.segments.small_log import UUID, SmallLog, contents, read_all, three_segments

EDIT: Final = struct.Struct("<BBHB")
"""File and whether to seal it, what to do, where, how many bytes."""


def _transactions(directory: MemoryDirectory) -> None:
    log = SmallLog(directory, segment_size=4096 + 1024)
    log.begin()
    first = log.put(encode_part(log.end_lsn, b"one"), kind=Kind.TXN_PART)
    log.put(b"beside", group=1)
    log.seal()
    log.begin()
    last = log.put(encode_part(first, b"two"), kind=Kind.TXN_PART)
    log.put(encode_commit(Commit(first, last, 2)), kind=Kind.TXN_COMMIT)
    log.batch(b"a", b"b")
    log.put(bytes(24), kind=Kind.ABORT, group=1)
    log.mark(1_700_000_000_000_000_000)


def _three(directory: MemoryDirectory) -> None:
    three_segments(directory)


MAKERS: Final = (_three, _transactions)


@cache
def _made(which: int) -> MemoryDirectory:
    directory = MemoryDirectory()
    MAKERS[which](directory)
    return directory


def changed(data: bytes) -> MemoryDirectory:
    """Return the directory that an input describes."""
    which, data = (data[0] if data else 0), data[1:]
    directory = _made(which % len(MAKERS)).copied()
    names = sorted(directory.files)
    while len(data) >= EDIT.size:
        chosen, action, offset, count = EDIT.unpack_from(data)
        new, data = data[EDIT.size : EDIT.size + count], data[EDIT.size + count :]
        name = names[chosen % 16 % len(names)]
        file = directory.files.get(name)
        if file is None:
            continue
        offset = min(offset, len(file))
        _edit(directory, name, file, action, offset, new)
        if chosen & 0x80:
            seal(directory, name)
    return directory


def _edit(
    directory: MemoryDirectory, name: str, file: bytearray, action: int, offset: int, new: bytes
) -> None:
    match action % 6:
        case 0 | 1:
            file[offset : offset + len(new)] = new
        case 2:
            file[offset:offset] = new
        case 3:
            del file[offset : offset + 8 * len(new)]
        case 4:
            del file[offset:]
        case _ if new[:1] == b"\xff":
            del directory.files[name]
        case _:
            other = sorted(directory.files)[len(new) % len(directory.files)]
            directory.files[name] = bytearray(directory.files[other])


def seal(directory: MemoryDirectory, name: str) -> None:
    """Make every checksum of a file right."""
    file = directory.files.get(name)
    if file is None:
        return
    if not name.endswith(".seg"):
        file[:] = sealed_text(bytes(file))
        return
    head = sealed_header(bytes(file[:4096]))
    base, salt = int(name[:20]), struct.unpack_from("<I", head, 48)[0]
    at = file.rfind(b"LSFOOTER", 4096)
    at = len(file) if at < 0 else at
    body = sealed_frames(bytes(file[4096:at]), lsn=base, salt=salt)
    footer = sealed_footer(bytes(file[at:])) if at < len(file) else b""
    file[:] = head + body + footer


def _documented(act: Callable[[], object]) -> object:
    """Return what comes of it, or None if it is refused; anything but our errors gets through."""
    try:
        return act()
    except LogstoreError:
        return None


def _records(directory: MemoryDirectory, recovered: Recovered) -> list[tuple[int, int, bytes]]:
    """Return what the frames of the recovered segments hold, by the reference."""
    found = []
    for one in recovered.manifest.sealed:
        data = bytes(directory.files[f"{one.base_lsn:020d}.seg"])
        salt = struct.unpack_from("<I", data, 48)[0]
        whole, _, _ = decode(data[4096:], one.base_lsn, one.end_lsn, salt)
        found += [(f.lsn, f.group, f.payload) for f in whole if f.kind == Kind.DATA]
    return found


def _check_recovery(directory: MemoryDirectory) -> None:
    before = contents(directory)
    try:
        recovered = recover(directory)
    except (Corruption, IncompatibleFormat):
        assert contents(directory) == before
        return
    after = contents(directory)
    assert recover(directory).end_lsn == recovered.end_lsn
    assert contents(directory) == after
    known = _records(directory, recovered)
    rows = _documented(lambda: read_all(directory, recovered.end_lsn))
    if isinstance(rows, list):
        assert [(r.lsn, r.payload) for r in rows] == [
            (lsn, payload) for lsn, _, payload in known if lsn >= recovered.manifest.start_lsn
        ]
    _documented(lambda: catalog_at(directory, UUID, recovered.end_lsn))


def check_directory(data: bytes) -> None:
    """Ask every part of the product about a changed directory."""
    directory = changed(data)
    _documented(lambda: Verification(directory.copied(), None).run())
    with suppress(LogstoreError):
        _check_recovery(directory.copied())
    before = contents(directory)
    _documented(lambda: plan_repair(directory))
    assert contents(directory) == before
    copy = directory.copied()
    if _documented(lambda: repair(copy)) is not None:
        after = contents(copy)
        assert repair(copy).plan.problems == ()
        assert contents(copy) == after
        # What has right checksums and means nothing is no damage: a repair keeps it.
        recovered = _documented(lambda: recover(copy))
        if isinstance(recovered, Recovered):
            start, end = recovered.manifest.start_lsn, recovered.end_lsn
            _documented(lambda: read_all(copy, end, start))
    assert copy.open_count == 0


def examples() -> list[bytes]:
    """Return inputs to begin with."""
    edits = [
        (0x80, 0, 40, b"\7"),
        (0x81, 0, 4096, b"\1"),
        (0x82, 0, 4120, b"\5\6"),
        (0x83, 0, 20, b"xx"),
        (0x80, 0, 4300, b"\2" * 30),
        (0x80, 2, 4128, b"LSFOOTER"),
        (0x81, 4, 4200, b""),
        (0x02, 5, 0, b"\xff"),
        (0x81, 5, 0, b"\1\1"),
        (0x83, 0, 100, b"\x39\x39"),
    ]
    rows = [EDIT.pack(a, b, c, len(d)) + d for a, b, c, d in edits]
    return [bytes((which,)) + row for which in range(len(MAKERS)) for row in [b"", *rows]]
