"""`logstore dump`: headers, footers and the manifest, as they stand on disk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from logstore.cli.arguments import json_option, log_argument
from logstore.cli.attaching import attach
from logstore.cli.output import print_json
from logstore.cli.records import kind_name
from logstore.disk_errors import reading
from logstore.errors import Corruption, IncompatibleFormat, NotFound, NotRunning
from logstore.files import Directory
from logstore.format import FRAME_HEADER_SIZE, NO_CLAIM, FrameHeader, SegmentHeader, frame_crc, span
from logstore.segments import manifest as manifests
from logstore.segments.footer import Footer, read_footer
from logstore.segments.segment import bases_of, read_header, segment_name

Fields = dict[str, Any]


@click.command()
@log_argument
@click.option("--frames", is_flag=True, help="Show each frame's header, and whether it is sound.")
@json_option
def command(log: str, frames: bool, as_json: bool) -> None:
    """Show headers, footers and the manifest.

    LOG is a name, a directory, or one segment file. What is damaged is shown as such, and the
    rest all the same; whether a log is sound is what `verify` says.

    \b
    Examples:
      logstore dump data/orders
      logstore dump data/orders/00000000000000004096.seg --frames --json
    """
    path = _locate(log)
    single = path.name if path.is_file() else None
    with reading(log), Directory.open(path.parent if single else path, create=False) as directory:
        names = [single] if single else list(map(segment_name, bases_of(directory.names())))
        if not single:
            _show(_manifest(directory, bool(names)), as_json)
        for name in names:
            for part in _segment(directory, name, frames):
                _show(part, as_json)


def _locate(log: str) -> Path:
    path = Path(log)
    if path.exists():
        return path
    try:
        with attach(log, read_only=True) as opened:
            return opened.path
    except NotRunning as error:
        raise NotFound(f"there is no running log and no directory {log!r}") from error


def _manifest(directory: Directory, has_segments: bool) -> Fields:
    try:
        manifest = manifests.load(directory)
    except (Corruption, IncompatibleFormat) as error:
        return {"type": "manifest", "error": str(error)}
    if manifest is None:
        if not has_segments:
            raise NotFound("there is no log here", path=directory.path)
        return {"type": "manifest", "error": "there is no MANIFEST"}
    return {
        "type": "manifest",
        "uuid": manifest.uuid.hex(),
        "name": manifest.name,
        "epoch": manifest.epoch,
        "clean": manifest.clean,
        "start_lsn": manifest.start_lsn,
        "sealed": len(manifest.sealed),
        "sealed_end_lsn": manifest.sealed_end_lsn,
        "active_base_lsn": manifest.active_base_lsn,
    }


def _segment(directory: Directory, name: str, frames: bool) -> Iterator[Fields]:
    try:
        header = read_header(directory, name, uuid=None)
    except (Corruption, IncompatibleFormat) as error:
        yield {"type": "segment", "file": name, "error": str(error)}
        return
    created = datetime.fromtimestamp(header.created_ns / 1e9, tz=UTC)
    yield {
        "type": "segment",
        "file": name,
        "bytes": directory.size(name),
        "uuid": header.uuid.hex(),
        "epoch": header.epoch,
        "salt": f"{header.salt:08x}",
        "base_lsn": header.base_lsn,
        "previous_end_lsn": header.previous_end_lsn,
        "previous_digest": f"{header.previous_digest:08x}",
        "header_crc": f"{header.crc:08x}",
        "created": created.isoformat(timespec="milliseconds"),
    }
    if frames:
        yield from _frames(directory, name, header)
    yield _footer(directory, name)


def _footer(directory: Directory, name: str) -> Fields:
    shown: Fields = {"type": "footer", "file": name}
    footer: Footer | None = None
    try:
        footer = read_footer(directory, name)
    except (Corruption, IncompatibleFormat) as error:
        return shown | {"error": str(error)}
    if footer is None:
        return shown | {"sealed": False}
    groups = [
        {
            "id": group.id,
            "name": group.name,
            "first_seq": group.first_seq,
            "last_seq": group.last_seq,
            "record_count": group.record_count,
            "points": len(group.points),
        }
        for group in footer.groups
    ]
    return shown | {
        "sealed": True,
        "end_lsn": footer.end_lsn,
        "record_count": footer.record_count,
        "frames_digest": f"{footer.frames_digest:08x}",
        "times": len(footer.times),
        "other_sections": [section.type for section in footer.others],
        "groups": groups,
    }


def _frames(directory: Directory, name: str, header: SegmentHeader) -> Iterator[Fields]:
    """Yield frame after frame up to the first place that holds none."""
    fd = directory.open_read(name)
    try:
        lsn = header.base_lsn
        while True:
            offset = header.offset_of(lsn)
            data = directory.read(fd, FRAME_HEADER_SIZE, offset)
            if len(data) < FRAME_HEADER_SIZE:
                return
            frame = FrameHeader.decode(data)
            if frame.size == 0 or frame.lsn != lsn:
                return
            payload = directory.read(fd, frame.payload_length, offset + FRAME_HEADER_SIZE)
            yield {
                "type": "frame",
                "lsn": lsn,
                "offset": offset,
                "kind": kind_name(frame.kind),
                "group": frame.group,
                "seq": frame.seq,
                "payload_bytes": frame.payload_length,
                "flags": frame.flags,
                "proof_lsn": None if frame.distance == NO_CLAIM else frame.proof_lsn,
                "crc": f"{frame.crc:08x}",
                "sound": frame.crc == frame_crc(frame, payload, header.salt),
            }
            lsn += span(frame.payload_length)
    finally:
        directory.close_file(fd)


def _show(part: Fields, as_json: bool) -> None:
    if as_json:
        print_json(part)
        return
    kind = part.pop("type")
    groups = part.pop("groups", [])
    if kind == "frame":
        sound = "" if part.pop("sound") else "  DAMAGED"
        click.echo("  " + "  ".join(f"{key} {value}" for key, value in part.items()) + sound)
        return
    click.echo(f"{kind} {part.pop('file', '')}".rstrip())
    for key, value in part.items():
        click.echo(f"  {key:<17} {value}")
    for group in groups:
        click.echo("  group " + "  ".join(f"{key} {value}" for key, value in group.items()))
