"""How records are printed by `read` and `follow`."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from typing import Any, Final

import click
import msgspec

from logstore.cli.output import JSON_VERSION
from logstore.format import Kind
from logstore.frames import Record

_LENGTH: Final = struct.Struct("<I")


def kind_name(kind: int) -> str:
    """Name a frame's kind in lower case; a number for a kind that is not known here."""
    try:
        return Kind(kind).name.lower()
    except ValueError:
        return str(kind)


def as_dict(record: Record) -> dict[str, Any]:
    """Give a record JSON's types: the payload as text if it is UTF-8, in base 64 if not."""
    payload = bytes(record.payload)
    fields: dict[str, Any] = {
        "version": JSON_VERSION,
        "lsn": record.lsn,
        "group": record.group,
        "seq": record.seq,
        "kind": kind_name(record.kind),
    }
    try:
        return fields | {"payload": payload.decode()}
    except UnicodeDecodeError:
        return fields | {"payload_base64": base64.b64encode(payload).decode()}


def _raw(record: Record) -> bytes:
    return bytes(record.payload)


def _line(record: Record) -> bytes:
    return bytes(record.payload) + b"\n"


def _hex(record: Record) -> bytes:
    return record.payload.hex().encode() + b"\n"


def _json(record: Record) -> bytes:
    return msgspec.json.encode(as_dict(record)) + b"\n"


def _length_prefixed(record: Record) -> bytes:
    payload = bytes(record.payload)
    return _LENGTH.pack(len(payload)) + payload


FORMATS: Final[dict[str, Callable[[Record], bytes]]] = {
    "lines": _line,
    "raw": _raw,
    "hex": _hex,
    "json": _json,
    "length-prefixed": _length_prefixed,
}

format_option = click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="lines",
    show_default=True,
    help="lines: payload and newline; raw: payloads alone; hex: one line each; json: one object "
    "a line; length-prefixed: u32 length (LE) and payload, as `append` takes it.",
)
