"""Serving and repairing damaged logs: what each way of recovery refuses, what it loses, and that
what is lost is told and never used again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import logstore
from logstore import Corruption, InUse
from logstore.ring import region
from tests.cli.running import call_process, json_lines
from tests.conftest import Serve
from tests.service import Service

pytestmark = pytest.mark.process

RECORDS = 300
HEADER = 4096


@pytest.fixture
def crashed(serve: Serve) -> Service:
    """Return a log of several segments whose service was killed and whose shared memory is gone."""
    service = serve(segment_size=1 << 13)
    with service.attach() as log:
        for number in range(RECORDS):
            log.append(b"record %d" % number)
            if number % 10 == 9:
                log.sync()
    service.kill_all()
    region.unlink(service.name)
    return service


def segments(service: Service) -> list[Path]:
    return sorted(service.path.glob("*.seg"))


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def damage_end(service: Service) -> Path:
    """Damage the first frame of the last segment, which later ones prove to have been durable."""
    last = segments(service)[-1]
    flip(last, HEADER + 33)
    return last


def payloads(service: Service) -> list[bytes]:
    with service.attach() as log:
        return [bytes(record.payload) for record in log.read()]


def all_but(*numbers: int) -> list[bytes]:
    return [b"record %d" % number for number in range(RECORDS) if number not in numbers]


def test_strict_names_the_place_and_what_the_other_ways_would_lose(crashed: Service) -> None:
    last = damage_end(crashed)
    before = {path: path.read_bytes() for path in segments(crashed)}
    answer = crashed.try_start()
    assert answer is not None
    assert answer["error"] == "Corruption"
    assert (answer["segment"], answer["offset"]) == (last.name, HEADER)
    assert answer["lsn"] == int(last.stem)
    message = str(answer["message"])
    assert "`logstore repair`" in message
    for recovery in ("tail", "salvage"):
        told = re.search(rf"recovery '{recovery}' would go on and lose LSN (\d+) to", message)
        assert told is not None, message
        assert told[1] == last.stem.lstrip("0")
    assert {path: path.read_bytes() for path in segments(crashed)} == before
    with pytest.raises(Corruption, match="would go on and lose"):
        logstore.open(crashed.path)


def test_salvage_keeps_what_is_sound_behind_the_damage(crashed: Service) -> None:
    last = damage_end(crashed)
    end_lsn = int(last.stem) + last.stat().st_size - HEADER
    crashed.options = {"recovery": "salvage", **crashed.options}
    crashed.start()
    found = payloads(crashed)
    assert len(found) == RECORDS - 1
    with crashed.attach() as log:
        record = log.load(log.append(b"new", durability="synced", timeout=5))
        assert record.seq > RECORDS
        assert record.lsn > int(last.stem)
        assert record.lsn <= end_lsn + (1 << 13)
    verify = call_process("verify", crashed.path, "--json")
    assert verify.returncode == 0, verify.stderr
    notes = [line for line in json_lines(verify.stdout) if line["type"] == "note"]
    assert [note["lsn"] for note in notes] == [int(last.stem)]
    assert list((crashed.path / "quarantine").iterdir())


def test_readers_pass_over_a_hole_and_status_tells_it(crashed: Service) -> None:
    with_hole = segments(crashed)[1]
    data = bytearray(with_hole.read_bytes())
    data[HEADER : HEADER + 200] = bytes(200)
    with_hole.write_bytes(data)
    report = logstore.repair(crashed.path)
    ((first, last),) = report.holes
    assert (first, last > first + 100) == (int(with_hole.stem), True)
    shown = call_process("status", crashed.path)
    assert f"LSN {first} to {last}".encode() in shown.stdout
    crashed.start()
    with crashed.attach() as log:
        assert log.status().holes == [(first, last)]
        assert len(list(log.read())) == RECORDS - report.lost_records["default"]
        within = first + 48  # where the second of the lost records began
        assert next(log.read(within)).lsn == last
        for lsn in (first, within):
            with pytest.raises(logstore.Lost):
                log.load(lsn)


def test_tail_cuts_the_log_at_the_damage(crashed: Service) -> None:
    last = damage_end(crashed)
    crashed.options = {"recovery": "tail", **crashed.options}
    crashed.start()
    found = payloads(crashed)
    assert found == all_but(*range(len(found), RECORDS))
    assert len(found) < RECORDS - 1
    with crashed.attach() as log:
        assert log.load(log.append(b"new", durability="synced", timeout=5)).seq > RECORDS
    assert any(last.name in copy.name for copy in (crashed.path / "quarantine").iterdir())


def test_tail_refuses_damage_in_the_middle_and_salvage_goes_on(crashed: Service) -> None:
    first = segments(crashed)[0]
    first.unlink()
    crashed.options = {"recovery": "tail", **crashed.options}
    answer = crashed.try_start()
    assert answer is not None
    assert (answer["error"], answer["segment"]) == ("Corruption", first.name)
    crashed.options = {**crashed.options, "recovery": "salvage"}
    crashed.start()
    found = payloads(crashed)
    assert found == all_but(*range(RECORDS - len(found)))
    assert 0 < len(found) < RECORDS


def test_a_log_without_a_manifest_is_salvaged(crashed: Service) -> None:
    (crashed.path / "MANIFEST").unlink()
    answer = crashed.try_start()
    assert answer is not None
    assert answer["error"] == "Corruption"
    crashed.options = {**crashed.options, "recovery": "salvage"}
    crashed.start()
    assert payloads(crashed) == all_but()


def test_salvage_saves_what_shared_memory_holds_too(serve: Serve) -> None:
    service = serve(segment_size=1 << 13)
    with service.attach() as log:
        for number in range(RECORDS):
            log.append(b"record %d" % number)
        log.sync()
        service.kill_all()
        for number in range(RECORDS, RECORDS + 5):
            log.append(b"record %d" % number)
    last = segments(service)[-1]
    flip(last, HEADER + 33)
    repair = call_process("repair", service.path, "--yes")
    assert repair.returncode == 5
    assert b"serve --recovery salvage" in repair.stderr
    service.options = {**service.options, "recovery": "salvage"}
    service.start()
    found = payloads(service)
    assert len(found) == RECORDS + 5 - 1
    assert found[-1] == b"record %d" % (RECORDS + 4)


def test_repair_refuses_a_running_log(serve: Serve) -> None:
    service = serve()
    for arguments in ([], ["--yes"]):
        done = call_process("repair", service.path, *arguments)
        assert done.returncode == 5, done.stderr
    with pytest.raises(InUse):
        logstore.repair(service.path, dry_run=True)


def test_the_commands_find_and_repair_and_exit_as_documented(crashed: Service) -> None:
    flip(segments(crashed)[1], HEADER + 33)
    assert call_process("verify", crashed.path).returncode == 4
    before = {path: path.read_bytes() for path in crashed.path.iterdir() if path.is_file()}
    shown = call_process("repair", crashed.path, "--json")
    assert shown.returncode == 0, shown.stderr
    assert {path: path.read_bytes() for path in crashed.path.iterdir() if path.is_file()} == before
    (told,) = json_lines(shown.stdout)
    assert told["dry_run"]
    assert told["lost_records"] == {"default": 1}
    assert call_process("repair", crashed.path, "--recovery", "tail", "--yes").returncode == 4
    done = call_process("repair", crashed.path, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    (report,) = json_lines(done.stdout)
    assert report["holes"] == told["holes"]
    assert report["quarantined"]
    assert all((crashed.path / name).exists() for name in report["quarantined"])
    assert call_process("verify", crashed.path).returncode == 0
    again = call_process("repair", crashed.path, "--yes")
    assert b"nothing to repair" in again.stdout
    crashed.start()
    assert len(payloads(crashed)) == RECORDS - 1
    assert call_process("repair", crashed.path.parent / "nowhere").returncode == 3
