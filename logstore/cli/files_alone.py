"""A log seen through its files alone, when no service runs for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from logstore.cli.output import column_lines, count_text, plural, size_text
from logstore.cursors import CursorStatus, listing
from logstore.errors import Corruption, NotFound
from logstore.files import Directory
from logstore.group import GroupStatus
from logstore.lsn import Durability
from logstore.segments import manifest as manifests
from logstore.segments.catalog import Catalog
from logstore.segments.catalog_sections import catalog_of
from logstore.segments.disk_errors import reading
from logstore.segments.footer import GroupRange
from logstore.segments.inventory import newest_footer, take_inventory
from logstore.segments.reader import SegmentReader
from logstore.segments.segment import segment_name
from logstore.segments.tail import make_plan
from logstore.visible import Intervals, View

if TYPE_CHECKING:
    from logstore.frames import Record


class _Frames:
    """The frames in the files of one log, as a view wants them."""

    def __init__(
        self, directory: Directory, manifest: manifests.Manifest, names: list[str], end_lsn: int
    ) -> None:
        self._directory = directory
        self._manifest = manifest
        self._names = names
        self._end_lsn = end_lsn

    def start(self) -> int:
        return self._manifest.start_lsn

    def names(self) -> list[str]:
        return self._names

    def chunks(
        self, position: int, limit: int, kinds: int, *, copy: bool = True
    ) -> Iterator[list[Record]]:
        with SegmentReader(self._directory, self._manifest.uuid) as reader:
            end = min(limit, self._end_lsn)
            yield from reader.chunks(position, lambda: end, self._names, kinds=kinds, copy=copy)

    def load(self, lsn: int, kinds: int) -> Record:
        with SegmentReader(self._directory, self._manifest.uuid) as reader:
            return reader.load(lsn, self._end_lsn, self._names, kinds=kinds)


class FilesAlone:
    """Read a log that nobody serves; nothing is changed. For one thread.

    What a crash left unfinished at the end of the last segment is not shown: the next start of
    a service cuts it.

    Attributes:
        path: The data directory.
        manifest: What the log consists of.
        end_lsn: Where its last whole record ends.
    """

    def __init__(self, directory: Directory, manifest: manifests.Manifest) -> None:
        self.path = directory.path
        self.manifest = manifest
        self._directory = directory
        self._tail = take_inventory(directory, manifest).tail
        newest = newest_footer(directory, manifest)
        plan = make_plan(directory, manifest, self._tail, newest, synced_lsn=0, written_lsn=0)
        self._footer = plan.steps[-1].footer if plan.steps else newest
        self.end_lsn = plan.end_lsn
        names = self._footer.names() if self._footer else []
        self._frames = _Frames(directory, manifest, names, self.end_lsn)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the log in a directory.

        Raises:
            NotFound: There is no log.
            Corruption, IncompatibleFormat, ReadFailed, PermissionDenied: It cannot be read.
        """
        with reading(str(path)):
            directory = Directory.open(path, create=False)
        try:
            return cls(directory, load_manifest(directory))
        except BaseException:
            directory.close()
            raise

    def close(self) -> None:
        """Close the directory."""
        self._directory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(
        self,
        start: int | None = None,
        end: int | None = None,
        *,
        durability: Durability = "synced",
        group: str | None = None,
        uncommitted: bool = False,
        reverted: bool = False,
    ) -> Iterator[Record]:
        """Iterate over records as `Log.read`; every level is what the files hold.

        Raises:
            NotFound: There is no such group, or `start` is below the oldest record.
        """
        names = self._frames.names()
        if group is not None and group not in names:
            raise NotFound(f"there is no group {group!r}; there are {', '.join(names)}")
        # Not from the files' footers: a power loss may have torn the last one.
        hidden = Intervals(catalog_of(self._footer).hidden)
        view = View(self._frames, hidden, group=group, uncommitted=uncommitted, reverted=reverted)
        first = self.manifest.start_lsn if start is None else start
        for piece in view.pieces(first, self.end_lsn, end):
            yield from piece.records

    def summary(self) -> dict[str, Any]:
        """Say what the files say, in JSON's types."""
        sizes = self._directory.sizes()
        bases = [*(one.base_lsn for one in self.manifest.sealed), *self._tail]
        return {
            "name": self.manifest.name,
            "path": str(self.path),
            "uuid": self.manifest.uuid.hex(),
            "epoch": self.manifest.epoch,
            "clean": self.manifest.clean,
            "start_lsn": self.manifest.start_lsn,
            "end_lsn": self.end_lsn,
            "segments": len(bases),
            "bytes_on_disk": sum(sizes.get(segment_name(base), 0) for base in bases),
            "groups": {group.name: group.last_seq for group in self._groups()},
        }

    def summary_lines(self) -> list[str]:
        """Say what the files say, for people."""
        told = self.summary()
        clean = "stopped in order" if told["clean"] else "not stopped in order; a start recovers it"
        rows = [
            ("log", f"{told['name']} ({told['path']})"),
            ("state", f"not running, epoch {told['epoch']}, {clean}"),
            ("records", f"LSN {told['start_lsn']} to {told['end_lsn']}"),
            ("disk", f"{plural(told['segments'], 'segment')}, {size_text(told['bytes_on_disk'])}"),
        ]
        rows += [
            ("group", f"{name}, last seq {count_text(seq)}") for name, seq in told["groups"].items()
        ]
        return column_lines(rows)

    def cursors(self) -> list[CursorStatus]:
        """Return what is known of all cursors, sorted by name."""
        return listing(self._directory, self.end_lsn)

    def group_statuses(self) -> list[GroupStatus]:
        """Say how far each group is, as far as the files tell."""
        catalog = catalog_of(self._footer)
        return [self._group_status(one, catalog) for one in self._groups()]

    def _group_status(self, group: GroupRange, catalog: Catalog) -> GroupStatus:
        done = catalog.checkpointed(group.id)
        return GroupStatus(
            name=group.name,
            id=group.id,
            appended=group.last_seq,
            synced=group.last_seq,
            checkpointed=done.prefix_end,
            pending=group.last_seq - done.clipped(1, max(group.last_seq, 1)).count,
            oldest_needed_lsn=0,
        )

    def _groups(self) -> tuple[GroupRange, ...]:
        return self._footer.groups if self._footer else ()


def load_manifest(directory: Directory) -> manifests.Manifest:
    """Read the manifest of a directory that should hold a log.

    Raises:
        NotFound: There is none.
        Corruption, IncompatibleFormat, ReadFailed, PermissionDenied: It cannot be used.
    """
    manifest = manifests.load(directory)
    if manifest is None:
        with reading(str(directory.path)):
            names = directory.names()
        if any(name.endswith(".seg") for name in names):
            raise Corruption("there are segments, but the manifest is missing", path=directory.path)
        raise NotFound("there is no log here: no MANIFEST", path=directory.path)
    return manifest
