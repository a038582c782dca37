"""A log seen through its files alone, when no service runs for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from logstore.cli.output import column_lines, count_text, plural, size_text
from logstore.errors import NotFound
from logstore.files import Directory
from logstore.format import Kind
from logstore.lsn import Durability
from logstore.segments import manifest as manifests
from logstore.segments.disk_errors import reading
from logstore.segments.footer import GroupRange
from logstore.segments.inventory import newest_footer, take_inventory
from logstore.segments.reader import SegmentReader
from logstore.segments.segment import segment_name
from logstore.segments.tail import make_plan

if TYPE_CHECKING:
    from logstore.frames import Record

_VISIBLE: Final = 1 << Kind.DATA


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
    ) -> Iterator[Record]:
        """Yield the records from `start` up to `end`; every level is what the files hold."""
        first = self.manifest.start_lsn if start is None else start
        names = self._footer.names() if self._footer else []
        with SegmentReader(self._directory, self.manifest.uuid) as reader:
            for records in reader.chunks(first, lambda: self.end_lsn, names, kinds=_VISIBLE):
                if end is not None and records[-1].lsn >= end:
                    yield from (record for record in records if record.lsn < end)
                    return
                yield from records

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
        raise NotFound("there is no log here: no MANIFEST", path=directory.path)
    return manifest
