"""The commands against a service that really runs, started with `logstore serve`."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import logstore
from tests.cli.running import COMMAND, call, call_process, json_lines
from tests.service import kill

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]

Serve = Callable[..., subprocess.Popen[bytes]]


def running(process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    """Wait until the service says that it runs."""
    assert process.stderr is not None
    for line in process.stderr:
        if b"log is RUNNING" in line:
            return process
    raise AssertionError(f"the service ended with {process.wait()}")


@pytest.fixture
def serve(clean_place: Path) -> Iterator[Serve]:
    """Start services; each that a test did not kill has to have stopped cleanly in the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        command = [*COMMAND, "serve", str(clean_place), "--name", clean_place.name, *arguments]
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE))
        return running(started[-1])

    try:
        yield start
        for process in started:
            if process.returncode is None:
                process.terminate()
            process.communicate(timeout=30)
        assert {process.returncode for process in started} <= {0, -signal.SIGKILL}
    finally:
        for process in started:
            process.kill()
            process.communicate()


@pytest.fixture
def log(serve: Serve, clean_place: Path) -> Path:
    """Run one service; return its directory."""
    serve("--segment-size", "64KiB")
    return clean_place


def test_appended_lines_come_back_in_order(log: Path) -> None:
    lines = b"".join(b"line %d\n" % number for number in range(5000))
    result = call("append", log, "-", "--durability", "synced", "--json", given=lines)
    assert result.exit_code == 0, result.output
    (told,) = json_lines(result.stdout)
    assert (told["records"], told["durability"]) == (5000, "synced")
    assert "appended 5,000 records, last LSN " in result.stderr
    assert call("read", log).stdout_bytes == lines
    assert len(list(log.glob("*.seg"))) > 1


def test_batches_and_length_prefixed_records_come_back_whole(log: Path, tmp_path: Path) -> None:
    records = [b"", b"\n\n", bytes(range(256)) * 20]
    source = tmp_path / "records.bin"
    source.write_bytes(b"".join(len(one).to_bytes(4, "little") + one for one in records))
    arguments = ("--length-prefixed", "--batch", "2", "--durability", "written")
    assert call("append", log, source, *arguments).exit_code == 0
    printed = call("read", log, "--format", "length-prefixed", "--durability", "ring")
    assert printed.stdout_bytes == source.read_bytes()


def test_a_record_too_large_is_told_with_file_and_line_and_those_before_it_stay(
    log: Path, tmp_path: Path
) -> None:
    source = tmp_path / "lines.txt"
    source.write_bytes(b"small\n" + b"x" * (9 << 20) + b"\n")
    result = call("append", log, source)
    assert result.exit_code == 1
    assert f"{source}:2: " in result.stderr
    assert "appended 1 record, last LSN 4096" in result.stderr
    assert call("read", log, "--durability", "ring").stdout == "small\n"


def test_an_input_file_that_is_not_there_is_not_found(log: Path, tmp_path: Path) -> None:
    result = call("append", log, tmp_path / "missing.txt")
    assert result.exit_code == 3
    assert f"{tmp_path}/missing.txt: No such file or directory" in result.stderr


def test_status_shows_the_workers_and_counts_appends(log: Path) -> None:
    call("append", log, given=b"a\nb\n")
    result = call("status", log, "--json")
    assert result.exit_code == 0
    (told,) = json_lines(result.stdout)
    roles = {client["role"]: client for client in told["clients"]}
    assert {"supervisor", "committer", "syncer"} <= set(roles)
    assert told["running"] is True
    assert told["counters"]["appends"] == 2
    assert "committer" in call("status", log).stdout


def test_top_prints_one_picture_with_rates(log: Path) -> None:
    result = call("top", log, "--once", "--interval", "0.05")
    assert result.exit_code == 0
    assert "per second" in result.stdout
    (told,) = json_lines(call("top", log, "--once", "--json", "--interval", "0.05").stdout)
    assert told["per_second"]["appends"] == 0.0


def test_verify_and_dump_work_beside_a_writer(log: Path) -> None:
    with logstore.attach(log) as writer:
        for _ in range(20):
            writer.append_many([b"x" * 100] * 100, durability="written")
            result = call("verify", log)
            assert result.exit_code == 0, result.output
            assert ": sound" in result.stdout
        assert call("dump", log, "--frames").exit_code == 0


def test_follow_prints_new_records_and_ends_quietly_on_ctrl_c(log: Path) -> None:
    with logstore.attach(log) as writer:
        first = writer.append(b"first", durability="synced")
        command = [*COMMAND, "follow", str(log), "--start", str(first)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as follower:
            assert follower.stdout is not None
            assert follower.stdout.readline() == b"first\n"
            writer.append(b"second", durability="synced")
            assert follower.stdout.readline() == b"second\n"
            follower.send_signal(signal.SIGINT)
            _, complaints = follower.communicate(timeout=10)
    assert follower.returncode == 130
    assert complaints == b""


def test_follow_ends_when_the_service_does(serve: Serve, clean_place: Path) -> None:
    service = serve()
    command = [*COMMAND, "follow", str(clean_place), "--from-start"]
    with logstore.attach(clean_place) as writer:
        writer.append(b"last", durability="synced")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == b"last\n"
        service.terminate()
        _, complaints = follower.communicate(timeout=20)
    assert service.wait(timeout=20) == 0
    assert follower.returncode == 6
    assert complaints.startswith(b"logstore: error: ")
    assert b"Traceback" not in complaints


def test_a_reader_that_has_enough_ends_read_quietly(log: Path) -> None:
    call(
        "append",
        log,
        "--durability",
        "synced",
        given=b"x" * 99 + b"\n" + b"y" * 99 + b"\n" * 200_000,
    )
    reading = subprocess.Popen(
        [*COMMAND, "read", str(log)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert reading.stdout is not None
    assert reading.stderr is not None
    assert reading.stdout.readline() == b"x" * 99 + b"\n"
    reading.stdout.close()
    assert reading.stderr.read() == b""
    reading.stderr.close()
    assert reading.wait(timeout=20) == 0


def test_a_second_serve_of_one_directory_says_who_serves_it(
    serve: Serve, clean_place: Path
) -> None:
    first = serve()
    second = call_process("serve", clean_place)
    assert second.returncode == 5
    assert b"logstore: error: " in second.stderr
    assert f"pid {first.pid}".encode() in second.stderr
    assert b"Traceback" not in second.stderr


@pytest.mark.crash
def test_status_says_when_the_whole_service_was_killed_and_nothing_is_lost(
    serve: Serve, clean_place: Path
) -> None:
    directory = clean_place
    service = serve()
    call("append", directory, given=b"one\n")
    with logstore.attach(directory) as log:
        log.append(b"two")  # in the ring, and perhaps nowhere else
    (told,) = json_lines(call("status", directory, "--json").stdout)
    assert told["served"] is True
    for client in told["clients"]:
        if client["role"] is not None:
            kill(client["pid"])
    assert service.wait(timeout=10) == -signal.SIGKILL
    status = call("status", directory)
    assert status.exit_code == 6
    assert "supervisor and workers are dead" in status.stdout
    assert "nothing appended is lost" in status.stderr
    assert call("append", clean_place.name, given=b"three\n").exit_code == 6
    serve()
    assert call("read", directory).stdout == "one\ntwo\n"


def test_after_a_clean_stop_the_files_say_so_and_a_new_service_goes_on(
    serve: Serve, clean_place: Path
) -> None:
    directory = clean_place
    service = serve()
    call("append", directory, given=b"one\n")
    service.terminate()
    assert service.wait(timeout=20) == 0
    status = call("status", directory)
    assert status.exit_code == 6
    assert "stopped in order" in status.stdout
    assert call("read", directory).stdout == "one\n"
    serve()
    call("append", directory, "--durability", "synced", given=b"two\n")
    assert call("read", directory).stdout == "one\ntwo\n"


def test_append_to_a_path_makes_the_log_and_starts_its_service(clean_place: Path) -> None:
    directory = clean_place
    result = call_process("append", directory, given=b"one\n")
    assert result.returncode == 0, result.stderr
    with logstore.open(directory) as log:
        assert [bytes(record.payload) for record in log.read(durability="ring")] == [b"one"]
        (supervisor,) = [one.pid for one in log.status().clients if one.role == "supervisor"]
    ended = os.pidfd_open(supervisor)
    try:
        assert select.select([ended], [], [], 30)[0], "the service outlives its last client"
    finally:
        os.close(ended)


@pytest.mark.crash
def test_the_demo_finds_every_line_after_two_kills(clean_place: Path) -> None:
    done = call_process("demo", "--directory", clean_place, "--lines", "60000", "--json")
    assert done.returncode == 0, done.stderr
    (told,) = json_lines(done.stdout)
    assert told["ok"] is True
    assert told["records"] >= told["acknowledged"] > 20_000
    assert b"killed writer 0" in done.stderr
    assert b"killed the committer" in done.stderr
    assert call("verify", clean_place).exit_code == 0


def test_the_demo_refuses_a_directory_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = call("demo", "--directory", tmp_path)
    assert result.exit_code == 2
    assert "must be new or empty" in result.output
