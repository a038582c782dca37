"""Which segment files of a damaged log can be used, and which have to be put aside. Reads only."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from logstore.disk_errors import reading
from logstore.errors import Corruption
from logstore.files import Directory
from logstore.format import SEGMENT_HEADER_SIZE, SegmentHeader
from logstore.lsn import ALIGNMENT, FIRST_LSN, MAXIMUM_LSN
from logstore.segments import manifest as manifests
from logstore.segments.manifest import Manifest, SealedSegment
from logstore.segments.repairs import Resumed
from logstore.segments.segment import base_of, header_from, require_writable, segment_name
from logstore.segments.survey import data_end

FOUND: Final = ".found"
"""Suffix of a segment on its way from a wrong name to its own."""
_SUFFIXES: Final = (".seg", FOUND)


@dataclass(slots=True)
class Sorted:
    """Say what the files of a log are.

    Attributes:
        manifest: As it was, or made anew from the segments.
        rebuilt: Whether it was made anew.
        usable: Segments of this log by where they begin, with the name each was found under.
        missing: Sealed segments that the manifest names and that are not there.
        aside: Names of files that are no segments of this log, or not whole ones.
        headless: Of segments with a bad header and something behind it, where they begin, and
            where they would end if all of their bytes were frames.
        active_gone: Whether of the segment that was growing nothing is left that tells how far.
        problems: What is wrong, each with its place.
    """

    manifest: Manifest
    rebuilt: bool
    usable: dict[int, tuple[SegmentHeader, str]] = field(default_factory=dict)
    missing: list[SealedSegment] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    problems: list[Corruption] = field(default_factory=list)
    headless: dict[int, int] = field(default_factory=dict)
    active_gone: bool = False


def sort_files(directory: Directory, unfinished: Resumed | None) -> Sorted:
    """Look at the manifest and at the header of every file that is or was a segment.

    Args:
        directory: The data directory.
        unfinished: An earlier repair; the segment that it had begun is left out.

    Raises:
        Corruption: There is neither a manifest nor a segment with a sound header.
        IncompatibleFormat: A newer version wrote some of it.
        ReadFailed, PermissionDenied: Some of it could not be read.
    """
    headers, bad = _headers(directory)
    if unfinished is not None:
        headers = {
            name: header
            for name, header in headers.items()
            if (header.epoch, header.base_lsn) != (unfinished.epoch, unfinished.resume_lsn)
        }
        bad = {name: e for name, e in bad.items() if name != segment_name(unfinished.resume_lsn)}
    found = _manifest(directory, headers)
    found.problems += bad.values()
    found.aside += bad
    listed = {one.base_lsn: one for one in found.manifest.sealed}
    for name, header in sorted(headers.items(), key=lambda item: _rank(item[0], item[1], listed)):
        trouble = _unusable(found, name, header, listed)
        if trouble is None:
            found.usable[header.base_lsn] = header, name
        else:
            found.aside.append(name)
            found.problems.append(trouble)
    if not found.rebuilt:
        # What compaction had no time to remove is sound, and nobody's any more.
        frontier = found.manifest.sealed_end_lsn
        for base in [base for base in found.usable if base < frontier and base not in listed]:
            _, name = found.usable.pop(base)
            # Under a wrong name it would be taken for damage for ever.
            found.aside += [name] if name != segment_name(base) else []
    for name in bad:
        found.headless |= _reach(directory, name)
    _note_missing(directory, found)
    return found


def _reach(directory: Directory, name: str) -> dict[int, int]:
    try:
        base = base_of(name)
    except Corruption:
        return {}
    with reading(name):
        size = directory.size(name)
        fd = directory.open_read(name)
        try:
            empty = data_end(directory, fd, SEGMENT_HEADER_SIZE) == SEGMENT_HEADER_SIZE
        finally:
            directory.close_file(fd)
    if empty:
        return {}
    return {base: base + (size - SEGMENT_HEADER_SIZE) // ALIGNMENT * ALIGNMENT}


def _headers(directory: Directory) -> tuple[dict[str, SegmentHeader], dict[str, Corruption]]:
    headers: dict[str, SegmentHeader] = {}
    bad: dict[str, Corruption] = {}
    with reading("the data directory"):
        names = sorted(name for name in directory.names() if name.endswith(_SUFFIXES))
    for name in names:
        with reading(name):
            fd = directory.open_read(name)
            try:
                headers[name] = _own_header(directory, fd, name)
            except Corruption as error:
                error.path, error.segment, error.offset = directory.path, name, 0
                with suppress(Corruption):
                    error.lsn = base_of(name)
                bad[name] = error
            finally:
                directory.close_file(fd)
        if name in headers:
            require_writable(headers[name])
    return headers, bad


def _own_header(directory: Directory, fd: int, name: str) -> SegmentHeader:
    """Read a header, whatever base the file's name says."""
    try:
        return header_from(directory, fd, name, uuid=None)
    except Corruption:
        # Sound, perhaps, and only under a wrong name.
        return SegmentHeader.decode(directory.read(fd, SEGMENT_HEADER_SIZE, 0))


def _manifest(directory: Directory, headers: dict[str, SegmentHeader]) -> Sorted:
    try:
        manifest = manifests.load(directory)
        if manifest is not None:
            return Sorted(manifest, False)
        trouble = Corruption("the manifest is missing", path=directory.path)
    except Corruption as error:
        trouble = error
    if not headers:
        raise trouble
    uuids = [header.uuid for header in headers.values()]
    uuid = max(sorted(set(uuids)), key=uuids.count)
    ours = [header for header in headers.values() if header.uuid == uuid]
    return Sorted(
        Manifest(
            uuid=uuid,
            name=_old_name(directory) or directory.path.name,
            epoch=max(header.epoch for header in ours),
            clean=False,
            start_lsn=min([header.base_lsn for header in ours], default=FIRST_LSN),
        ),
        rebuilt=True,
        problems=[trouble],
    )


def _old_name(directory: Directory) -> str | None:
    """Return the log's name as a damaged manifest has it, if it can be told."""
    if not directory.exists(manifests.MANIFEST):
        return None
    with reading(manifests.MANIFEST):
        fd = directory.open_read(manifests.MANIFEST)
        try:
            text = directory.read(fd, 4096, 0).decode(errors="replace")
        finally:
            directory.close_file(fd)
    for line in text.splitlines():
        name = line.removeprefix("name ")
        if name != line and name.replace("-", "").replace("_", "").replace(".", "").isalnum():
            return name
    return None


def _rank(
    name: str, header: SegmentHeader, listed: dict[int, SealedSegment]
) -> tuple[int, bool, bool, str]:
    """Order files by where they begin; of two with the same place the better one first."""
    one = listed.get(header.base_lsn)
    meant = one is None or one.header_crc == header.crc
    return header.base_lsn, not meant, name != segment_name(header.base_lsn), name


def _unusable(
    found: Sorted, name: str, header: SegmentHeader, listed: dict[int, SealedSegment]
) -> Corruption | None:
    """Say why a file is no segment of the log; None if it is one. Note a wrong name."""
    base = header.base_lsn
    one = listed.get(base)
    text = None
    if header.uuid != found.manifest.uuid:
        text = f"this segment belongs to another log, {header.uuid.hex()}"
    elif base in found.usable:
        text = "this segment is there twice"
    elif one is not None and one.header_crc != header.crc:
        text = "this segment is not the sealed one that the manifest means"
    elif one is None and any(s.base_lsn < base < s.end_lsn for s in found.manifest.sealed):
        text = "this segment begins within another one"
    if text is not None:
        return Corruption(text, segment=name, lsn=base)
    if one is None and found.manifest.clean and base >= found.manifest.sealed_end_lsn:
        text = "this segment is not in the manifest, although the log was shut down in order"
        found.problems.append(Corruption(text, segment=name, lsn=base))
    if name != segment_name(base):
        text = f"this segment was renamed; it begins at LSN {base}"
        found.problems.append(Corruption(text, segment=name, lsn=base))
    return None


def _note_missing(directory: Directory, found: Sorted) -> None:
    for one in found.manifest.sealed:
        if one.base_lsn not in found.usable:
            found.missing.append(one)
            if segment_name(one.base_lsn) not in found.aside:
                _tell_missing(directory, found, one.base_lsn)
    active = found.manifest.active_base_lsn
    if active is not None and active not in found.usable:
        found.active_gone = active not in found.headless
        if segment_name(active) not in found.aside:
            _tell_missing(directory, found, active)


def _tell_missing(directory: Directory, found: Sorted, base_lsn: int) -> None:
    name = segment_name(base_lsn)
    text = "this segment is missing"
    found.problems.append(Corruption(text, path=directory.path, segment=name, lsn=base_lsn))


def linked_end(header: SegmentHeader, following: SegmentHeader | None) -> int | None:
    """Return where a segment ends if the next one continues it and says so."""
    if following is None or following.previous_digest != header.crc:
        return None
    end = following.previous_end_lsn
    return end if header.base_lsn <= end <= MAXIMUM_LSN else None
