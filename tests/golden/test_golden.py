"""The golden files of format version 1, taken apart by hand: struct and crc32c, nothing of ours.

Every offset and every value below was written from the format's description. If a test here
fails, the format on disk has changed: make it a new version instead of changing the test.
"""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest
from crc32c import crc32c

from logstore.files import Directory
from logstore.segments.reader import SegmentReader
from logstore.segments.recover import recover
from tests.golden.make import make

V1 = Path(__file__).parent / "v1"
FIRST, SECOND = "00000000000000004096.seg", "00000000000000004352.seg"
UUID = bytes.fromhex("6c6f6773746f72652d676f6c64656e31")
TIME_NS = 1_700_000_000_000_000_000


def _bytes(name: str) -> bytes:
    return (V1 / name).read_bytes()


def test_the_code_of_today_makes_the_same_bytes(tmp_path: Path) -> None:
    with Directory.open(tmp_path, create=False) as directory:
        make(directory)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_bytes() for path in V1.iterdir()}


@pytest.mark.parametrize(
    ("name", "epoch", "salt", "base_lsn", "previous_end_lsn"),
    [(FIRST, 1, 0x10F5A17, 4096, 0), (SECOND, 2, 0x20F5A17, 4352, 4352)],
)
def test_segment_headers(
    name: str, epoch: int, salt: int, base_lsn: int, previous_end_lsn: int
) -> None:
    header = _bytes(name)[:4096]
    assert header[0:8] == b"LOGSTSEG"
    assert struct.unpack("<HH", header[8:12]) == (1, 0)
    assert struct.unpack("<III", header[12:24]) == (0, 0, 0)
    assert header[24:40] == UUID
    assert struct.unpack("<Q", header[40:48]) == (epoch,)
    assert struct.unpack("<I", header[48:52]) == (salt,)
    previous_digest = _bytes(FIRST)[4092:4096] if previous_end_lsn else bytes(4)
    assert header[52:56] == previous_digest
    assert struct.unpack("<QQ", header[56:72]) == (base_lsn, previous_end_lsn)
    assert struct.unpack("<Q", header[72:80]) == (TIME_NS + epoch,)
    assert header[80:4092] == bytes(4012)
    assert struct.unpack("<I", header[4092:4096]) == (crc32c(header[:4092]),)


# offset in the file, lsn, seq, group, kind, flags, distance, payload
FRAMES = {
    FIRST: [
        (4096, 4096, 1, 0, 1, 0, 0, b"hello"),
        (4136, 4136, 0, 1, 7, 0, 5, b"B\xc3\xbccher"),
        (4176, 4176, 1, 1, 1, 0, 10, b""),
        (4208, 4208, 2, 0, 1, 1, 14, b"first of a batch"),
        (4256, 4256, 3, 0, 1, 0, 20, b"last of a batch"),
        (4304, 4304, 0, 0, 8, 0, 0, struct.pack("<QQ", TIME_NS, 4304)),
    ],
    SECOND: [
        (4096, 4352, 2, 1, 9, 0, 6, bytes(24)),
        (4152, 4408, 3, 1, 1, 0, 0xFFFFFFFF, bytes(range(256))),
        (4440, 4696, 0, 0, 8, 0, 43, struct.pack("<QQ", TIME_NS + 100_000_000, 4352)),
    ],
}
FRAMES_END = {FIRST: 4352, SECOND: 4488}
SALTS = {FIRST: 0x10F5A17, SECOND: 0x20F5A17}


@pytest.mark.parametrize("name", [FIRST, SECOND])
def test_frames(name: str) -> None:
    data = _bytes(name)
    end = 4096
    for offset, lsn, seq, group, kind, flags, distance, payload in FRAMES[name]:
        assert offset == end
        size, crc = struct.unpack("<II", data[offset : offset + 8])
        assert size == len(payload) + 1
        fields = struct.unpack("<QQHBBI", data[offset + 8 : offset + 32])
        assert fields == (lsn, seq, group, kind, flags, distance)
        assert data[offset + 32 : offset + 32 + len(payload)] == payload
        covered = data[offset : offset + 4] + data[offset + 8 : offset + 32 + len(payload)]
        assert crc == crc32c(covered, SALTS[name])
        end = offset + (32 + len(payload) + 7) // 8 * 8
        assert not any(data[offset + 32 + len(payload) : end])
    assert end == FRAMES_END[name]


@pytest.mark.parametrize(
    ("name", "groups", "time", "trailer"),
    [
        (
            FIRST,
            (
                struct.pack("<HHIQQQ8sQQ", 0, 7, 1, 1, 3, 3, b"default", 1, 4096)
                + struct.pack("<HHIQQQ8sQQ", 1, 7, 1, 1, 1, 1, b"B\xc3\xbccher", 1, 4176)
            ),
            (TIME_NS, 4304),
            (4096, 4352, 4),
        ),
        (
            SECOND,
            (
                struct.pack("<HHIQQQ8s", 0, 7, 0, 0, 3, 0, b"default")
                + struct.pack("<HHIQQQ8sQQ", 1, 7, 1, 2, 3, 1, b"B\xc3\xbccher", 3, 4408)
            ),
            (TIME_NS + 100_000_000, 4696),
            (4352, 4744, 1),
        ),
    ],
)
def test_footers(
    name: str, groups: bytes, time: tuple[int, int], trailer: tuple[int, int, int]
) -> None:
    data = _bytes(name)
    footer = data[FRAMES_END[name] :]
    section = struct.pack("<II", 2, 64) + groups
    expected = b"LSFOOTER"
    expected += struct.pack("<HHI", 1, 0, len(section)) + section
    expected += struct.pack("<HHI", 2, 0, 16) + struct.pack("<QQ", *time)
    length = len(expected) + 64
    digest = crc32c(data[4096 : FRAMES_END[name]])
    expected += b"LSTRAILR" + struct.pack("<QQQ", *trailer)
    expected += struct.pack("<QI", length, digest) + bytes(16)
    expected += struct.pack("<I", crc32c(expected))
    assert footer == expected


def test_the_manifest() -> None:
    lines = _bytes("MANIFEST").decode().splitlines(keepends=True)
    digests = [f"{crc32c(_bytes(name)[4096 : FRAMES_END[name]]):08x}" for name in (FIRST, SECOND)]
    headers = [f"{crc32c(_bytes(name)[:4092]):08x}" for name in (FIRST, SECOND)]
    assert lines[:-1] == [
        "logstore-manifest 1\n",
        "uuid 6c6f6773746f72652d676f6c64656e31\n",
        "name golden\n",
        "epoch 2\n",
        "clean yes\n",
        "start 4096\n",
        f"segment 00000000000000004096 00000000000000004352 {digests[0]} {headers[0]}\n",
        f"segment 00000000000000004352 00000000000000004744 {digests[1]} {headers[1]}\n",
    ]
    assert lines[-1] == f"crc {crc32c(''.join(lines[:-1]).encode()):08x}\n"


def test_the_code_of_today_opens_and_reads_them(tmp_path: Path) -> None:
    shutil.copytree(V1, tmp_path / "log")
    with Directory.open(tmp_path / "log", create=False) as directory:
        recovered = recover(directory)
        assert recovered.footer is not None
        names = recovered.footer.names()
        assert names == ["default", "Bücher"]
        with SegmentReader(directory, UUID) as reader:
            chunks = reader.chunks(4096, lambda: recovered.end_lsn, names, kinds=1 << 1)
            records = [record for chunk in chunks for record in chunk]
    assert [(r.lsn, r.group, r.seq, bytes(r.payload)) for r in records] == [
        (4096, "default", 1, b"hello"),
        (4176, "Bücher", 1, b""),
        (4208, "default", 2, b"first of a batch"),
        (4256, "default", 3, b"last of a batch"),
        (4408, "Bücher", 3, bytes(range(256))),
    ]
