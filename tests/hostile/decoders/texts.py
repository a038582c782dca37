"""MANIFEST, REPAIRS and cursors: text in its one right form, the checksum in the last line."""

from __future__ import annotations

import re
from itertools import pairwise

from crc32c import crc32c

from tests.hostile.decoders.verdicts import Corrupt, Newer, require

HIGHEST_LSN = 2**63 - 8
NUMBER = r"(0|[1-9][0-9]{0,19})"
POSITION = r"([0-9]{20})"
WORD = r"([0-9a-f]{8})"

MANIFEST = re.compile(
    rf"logstore-manifest 1\nuuid ([0-9a-f]{{32}})\nname ([^\n]{{1,255}})\nepoch {NUMBER}\n"
    rf"clean (yes|no)\nstart {NUMBER}\n"
    rf"((?:segment {POSITION} {POSITION} {WORD} {WORD}\n)*)(?:active {POSITION}\n)?"
)
SEGMENT = re.compile(rf"segment {POSITION} {POSITION} {WORD} {WORD}\n")
CURSOR = re.compile(
    rf"logstore-cursor 1\nname ([A-Za-z0-9][A-Za-z0-9._-]{{0,62}})\n(?:group ([^\n]*)\n)?"
    rf"position {NUMBER}\nupdated {NUMBER}\n"
)
REPAIRS = re.compile(
    rf"logstore-repairs 1\n(?:unfinished {NUMBER} {NUMBER}\n)?"
    rf"((?:resumed {NUMBER} {NUMBER}\n)*)((?:hole {POSITION} {POSITION}\n)*)"
    rf"((?:lost {NUMBER} {NUMBER} {NUMBER} {NUMBER}\n)*)"
)


def _body(data: bytes) -> bytes:
    body, last = data[:-13], data[-13:]
    require(last == b"crc %08x\n" % crc32c(body), "the checksum is wrong")
    return body


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Corrupt("no text") from error


def _small(*numbers: int) -> None:
    require(all(number < 2**64 for number in numbers), "a number of more than 64 bits")


def _positions(*lsns: int) -> None:
    require(all(lsn % 8 == 0 and lsn <= HIGHEST_LSN for lsn in lsns), "no position")


def manifest(data: bytes) -> object:
    """Return (uuid, name, epoch, clean, start, segments, active)."""
    body = _body(data)
    first, _, _ = body.partition(b"\n")
    if first.startswith(b"logstore-manifest") and first != b"logstore-manifest 1":
        raise Newer
    found = MANIFEST.fullmatch(_text(body))
    if found is None:
        raise Corrupt("not the one right form")
    uuid, name, epoch, clean, start, listed, *_, active = found.groups()
    segments = [(int(a), int(b), int(c, 16), int(d, 16)) for a, b, c, d in SEGMENT.findall(listed)]
    places = [lsn for base, end, *_ in segments for lsn in (base, end)]
    places += [] if active is None else [int(active)]
    require(name.isprintable(), "the name is not printable")
    require(places == sorted(places), "not in order")
    _positions(int(start), *places)
    _small(int(epoch))
    number = None if active is None else int(active)
    return bytes.fromhex(uuid), name, int(epoch), clean == "yes", int(start), segments, number


def cursor(data: bytes) -> object:
    """Return (name, group, position, updated)."""
    text = _text(_body(data))
    first, end, _ = text.partition("\n")
    if end and first.startswith("logstore-cursor ") and first != "logstore-cursor 1":
        raise Newer
    found = CURSOR.fullmatch(text)
    if found is None:
        raise Corrupt("not the one right form")
    name, group, position, updated = found.groups()
    _positions(int(position))
    require(int(position) > 0, "no position")
    _small(int(updated))
    return name, group, int(position), int(updated)


def repairs(data: bytes) -> object:
    """Return (holes, lost, resumed, unfinished)."""
    found = REPAIRS.fullmatch(_text(_body(data)))
    if found is None:
        raise Corrupt("not the one right form")
    rows: dict[str, list[tuple[int, ...]]] = {
        "unfinished": [],
        "resumed": [],
        "hole": [],
        "lost": [],
    }
    for line in found[0].split("\n")[1:-1]:
        word, *numbers = line.split(" ")
        rows[word].append(tuple(map(int, numbers)))
    places = [lsn for hole in rows["hole"] for lsn in hole]
    require(all(first <= until for first, until in rows["hole"]), "a hole is backwards")
    require(all(a[1] < b[0] for a, b in pairwise(rows["hole"])), "holes touch")
    for lsn in (*places, *(row[1] for row in rows["unfinished"] + rows["resumed"])):
        require(lsn <= HIGHEST_LSN, "no position")
    for epoch, group, first, last in rows["lost"]:
        _small(epoch, last)
        require(group <= 0xFFFF and 1 <= first <= last, "no seqs of a group")
    _small(*(row[0] for row in rows["unfinished"] + rows["resumed"]))
    unfinished = rows["unfinished"][0] if rows["unfinished"] else None
    return rows["hole"], rows["lost"], rows["resumed"], unfinished
