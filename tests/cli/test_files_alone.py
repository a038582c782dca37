"""Commands on a log that nobody serves: they read its files and change nothing."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from logstore.cli.input_records import prefixed_records
from logstore.files import Directory
from logstore.format import Kind
from logstore.payloads import Commit, encode_commit, encode_part
from logstore.segments.segment import segment_name
from tests.cli.running import call, json_lines
from tests.segments.small_log import SmallLog, change, contents, three_segments

PAYLOADS = [b"one", b"two" * 30, b"three", b"", b"five", b"six" * 50, b"\xff\x00"]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """Make a log of three segments as a killed service leaves it; nothing may change it."""
    with Directory.open(tmp_path / "small", create=True) as directory:
        small = three_segments(directory)
        small.put(b"\xff\x00")
        before = contents(directory)
        yield tmp_path / "small"
        assert contents(directory) == before


def test_read_prints_payloads_as_lines(log: Path) -> None:
    result = call("read", log)
    assert result.exit_code == 0
    assert result.stdout_bytes == b"".join(payload + b"\n" for payload in PAYLOADS)


def test_read_prints_raw_payloads_without_anything_between(log: Path) -> None:
    assert call("read", log, "--format", "raw").stdout_bytes == b"".join(PAYLOADS)


def test_read_prints_hex_lines(log: Path) -> None:
    lines = call("read", log, "--format", "hex").stdout.split("\n")
    assert [bytes.fromhex(line) for line in lines[:-1]] == PAYLOADS


def test_read_prints_json_with_text_or_base_64(log: Path) -> None:
    records = json_lines(call("read", log, "--format", "json").stdout)
    assert [record["seq"] for record in records] == [1, 2, 3, 4, 5, 6, 7]
    assert records[0] == {
        "version": 1,
        "lsn": 4096,
        "group": "default",
        "seq": 1,
        "kind": "data",
        "payload": "one",
    }
    assert base64.b64decode(records[-1]["payload_base64"]) == b"\xff\x00"


def test_what_read_prints_length_prefixed_append_can_take_apart(log: Path) -> None:
    printed = call("read", log, "--format", "length-prefixed").stdout_bytes
    assert list(prefixed_records(io.BytesIO(printed), "in")) == PAYLOADS


def test_read_starts_and_ends_where_it_is_told(log: Path) -> None:
    lsns = [record["lsn"] for record in json_lines(call("read", log, "--format", "json").stdout)]
    part = call("read", log, "--start", str(lsns[1]), "--end", str(lsns[4]))
    assert part.stdout_bytes == b"".join(payload + b"\n" for payload in PAYLOADS[1:4])


def test_read_from_a_position_inside_a_record_is_a_usage_error(log: Path) -> None:
    result = call("read", log, "--start", "4104")
    assert result.exit_code == 2
    assert result.stderr.startswith("logstore: error: ")
    assert "4104" in result.stderr


def test_read_goes_back_and_by_time_past_a_torn_footer(tmp_path: Path) -> None:
    with Directory.open(tmp_path / "torn", create=True) as directory:
        small = three_segments(directory)
        small.mark(1_700_000_000_000_000_000)
        small.put(b"after the mark")
        small.seal(named=False)
        size = directory.size(small.active)
        change(directory, small.active, size - 30, b"torn")
    forward = call("read", tmp_path / "torn").stdout.splitlines()
    assert len(forward) == len(PAYLOADS)
    assert call("read", tmp_path / "torn", "--reverse").stdout.splitlines() == forward[::-1]
    late = call("read", tmp_path / "torn", "--since", "2023-11-14T22:13:30Z")
    assert late.stdout == "after the mark\n"


def test_status_tells_what_the_files_say_and_exits_with_6(log: Path) -> None:
    result = call("status", log, "--json")
    assert result.exit_code == 6
    (told,) = json_lines(result.stdout)
    assert told["running"] is False
    assert told["segments"] == 3
    assert told["clean"] is False
    assert told["groups"] == {"default": 7}
    assert "no service runs" in result.stderr


def test_status_for_people_says_that_a_start_recovers(log: Path) -> None:
    result = call("status", log)
    assert result.exit_code == 6
    assert "a start recovers it" in result.stdout


def test_dump_shows_manifest_headers_and_footers(log: Path) -> None:
    parts = json_lines(call("dump", log, "--json").stdout)
    assert [part["type"] for part in parts] == ["manifest", *["segment", "footer"] * 3]
    assert [part["sealed"] for part in parts if part["type"] == "footer"] == [True, True, False]
    chain = [part for part in parts if part["type"] == "segment"]
    assert chain[1]["previous_digest"] == chain[0]["header_crc"]


def test_dump_shows_every_frame_of_one_segment_file(log: Path) -> None:
    first = log / "00000000000000004096.seg"
    frames = [
        part
        for part in json_lines(call("dump", first, "--frames", "--json").stdout)
        if part["type"] == "frame"
    ]
    assert [(frame["lsn"], frame["payload_bytes"]) for frame in frames] == [(4096, 3), (4136, 90)]
    assert all(frame["sound"] for frame in frames)


@pytest.mark.parametrize("command", ["read", "status", "verify", "dump"])
def test_a_directory_without_a_log_is_not_found(tmp_path: Path, command: str) -> None:
    result = call(command, tmp_path)
    assert result.exit_code == 3, result.output
    assert result.stderr.startswith("logstore: error: ")
    assert str(tmp_path) in result.stderr


@pytest.mark.parametrize("command", ["read", "status", "verify", "groups", "follow", "top"])
def test_a_directory_that_is_not_there_is_not_found(tmp_path: Path, command: str) -> None:
    result = call(command, tmp_path / "missing")
    assert result.exit_code == 3, result.output


@pytest.mark.parametrize("command", ["read", "status", "verify", "append", "follow", "top"])
def test_a_name_that_nobody_serves_is_not_running(command: str) -> None:
    result = call(command, "surely-no-such-log")
    assert result.exit_code == 6, result.output


@pytest.mark.parametrize("command", ["follow", "top"])
def test_what_needs_a_service_says_that_none_runs(log: Path, command: str) -> None:
    result = call(command, log)
    assert result.exit_code == 6, result.output


def test_a_footer_that_a_power_loss_tore_is_no_damage_to_read(tmp_path: Path) -> None:
    with Directory.open(tmp_path / "small", create=True) as directory:
        small = three_segments(directory)
        assert small.header is not None
        offset = small.header.offset_of(small.end_lsn)
        small.seal(named=False)
        change(directory, small.active, offset, bytes(8))  # its first sector did not arrive
    result = call("read", tmp_path / "small")
    assert result.exit_code == 0, result.output
    assert result.stdout_bytes == b"".join(payload + b"\n" for _, _, payload in small.records)


@pytest.mark.parametrize("dropped", [{1}, {2}, {1, 2}, {2, 3}, {1, 3}, {1, 2, 3}])
def test_a_commit_shows_the_parts_that_compaction_left(tmp_path: Path, dropped: set[int]) -> None:
    with Directory.open(tmp_path / "small", create=True) as directory:
        small = SmallLog(directory)
        small.begin()
        small.put(b"before")
        small.seal()
        key = small.end_lsn
        for payload in (b"1", b"2", b"3"):
            small.begin()
            last = small.put(encode_part(key, payload), kind=Kind.TXN_PART)
            small.seal()
        small.begin()
        small.put(encode_commit(Commit(key, last, 3)), kind=Kind.TXN_COMMIT)
        small.put(b"after")
        small.seal()
        sealed = small.manifest.sealed
        kept = [one for number, one in enumerate(sealed) if number not in dropped]
        small.save(sealed=tuple(kept), clean=True)
        for number in dropped:
            directory.unlink(segment_name(sealed[number].base_lsn))
    result = call("read", tmp_path / "small")
    shown = [str(number).encode() for number in (1, 2, 3) if number not in dropped]
    lines = [b"before", *shown, b"after"]
    assert (result.exit_code, result.stdout_bytes.splitlines()) == (0, lines), result.output
