"""Comparing the segments that are there with those that should be."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from logstore.disk_errors import reading
from logstore.errors import Corruption
from logstore.files import Directory
from logstore.format import SEGMENT_HEADER_SIZE
from logstore.segments.footer import FOOTER_MAGIC, TRAILER_SIZE, Footer, read_footer
from logstore.segments.manifest import Manifest
from logstore.segments.segment import bases_of, read_header, segment_name

_SMALLEST_FOOTER: Final = len(FOOTER_MAGIC) + TRAILER_SIZE


@dataclass(frozen=True, slots=True)
class Inventory:
    """Say which segments are there besides the sealed ones that the manifest names.

    Attributes:
        tail: Where the segments after the sealed ones begin, in order.
        leftovers: Names of segments that compaction took out of the manifest and had no time to
            remove. They are whole segments of this log that nobody needs.
    """

    tail: tuple[int, ...]
    leftovers: tuple[str, ...]


def take_inventory(directory: Directory, manifest: Manifest) -> Inventory:
    """Check the names and sizes of all segments against the manifest. Reads only.

    Lists the directory once and opens nothing but leftovers, so that the time hardly depends on
    the number of segments.

    Raises:
        Corruption: A segment is missing, too short, doubled, renamed, foreign, or one too many.
        ReadFailed, PermissionDenied: The directory or a leftover could not be read.
    """
    with reading("the data directory"):
        sizes = directory.sizes()
    try:
        bases = bases_of(sizes)
    except Corruption as error:
        error.path = directory.path
        raise
    _require_sealed(directory, manifest, sizes)
    if manifest.active_base_lsn is not None and manifest.active_base_lsn not in bases:
        raise _missing(directory, manifest.active_base_lsn)
    tail = tuple(base for base in bases if base >= manifest.sealed_end_lsn)
    if tail and manifest.clean:
        raise Corruption(
            "this segment is not in the manifest, although the log was shut down in order",
            path=directory.path,
            segment=segment_name(tail[0]),
        )
    return Inventory(tail, leftovers_among(directory, manifest, bases))


def leftovers_among(
    directory: Directory, manifest: Manifest, bases: Iterable[int]
) -> tuple[str, ...]:
    """Name the segments among those that are there that compaction took out of the manifest.

    Raises:
        Corruption: A segment that is not in the manifest is not one of them.
    """
    listed = {one.base_lsn for one in manifest.sealed}
    end = manifest.sealed_end_lsn
    gone = (base for base in bases if base < end and base not in listed)
    return tuple(_leftover(directory, manifest, base) for base in gone)


def newest_footer(directory: Directory, manifest: Manifest) -> Footer | None:
    """Read the footer of the newest sealed segment and check that it is the manifest's.

    Returns:
        The footer, which knows all groups of the log; None if no segment is sealed.

    Raises:
        Corruption: It is damaged, or not the one that the manifest means.
        IncompatibleFormat, ReadFailed, PermissionDenied: It could not be read.
    """
    if not manifest.sealed:
        return None
    newest = manifest.sealed[-1]
    name = segment_name(newest.base_lsn)
    header = read_header(directory, name, uuid=manifest.uuid)
    footer = read_footer(directory, name)
    found = None if footer is None else (header.crc, footer.end_lsn, footer.frames_digest)
    if footer is None or found != (newest.header_crc, newest.end_lsn, newest.digest):
        raise Corruption(
            "this segment is not the sealed one that the manifest means",
            path=directory.path,
            segment=name,
            offset=header.offset_of(newest.end_lsn),
            lsn=newest.end_lsn,
        )
    return footer


def _require_sealed(directory: Directory, manifest: Manifest, sizes: dict[str, int]) -> None:
    for one in manifest.sealed:
        name = segment_name(one.base_lsn)
        if name not in sizes:
            raise _missing(directory, one.base_lsn)
        least = SEGMENT_HEADER_SIZE + one.end_lsn - one.base_lsn + _SMALLEST_FOOTER
        if sizes[name] < least:
            raise Corruption(
                f"this segment has {sizes[name]} bytes instead of at least {least}",
                path=directory.path,
                segment=name,
                offset=sizes[name],
            )


def _missing(directory: Directory, base_lsn: int) -> Corruption:
    name = segment_name(base_lsn)
    return Corruption("this segment is missing", path=directory.path, segment=name, lsn=base_lsn)


def _leftover(directory: Directory, manifest: Manifest, base_lsn: int) -> str:
    name = segment_name(base_lsn)
    read_header(directory, name, uuid=manifest.uuid)
    index = bisect_right(manifest.sealed, base_lsn, key=lambda one: one.base_lsn) - 1
    if index >= 0 and base_lsn < manifest.sealed[index].end_lsn:
        raise Corruption(
            "this segment begins within another one",
            path=directory.path,
            segment=name,
            lsn=base_lsn,
        )
    return name
