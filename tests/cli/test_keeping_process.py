"""What a log keeps, from the command line: checkpoints, compaction, pins, retention; and reading
backwards and by time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import logstore
from logstore.cli.status_text import PINS_SHOWN
from tests.cli.running import call, json_lines
from tests.conftest import Serve
from tests.service import Service, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]

RECORDS = 200


@pytest.fixture
def service(serve: Serve) -> Service:
    return serve(segment_size=8192)


@pytest.fixture
def log(service: Service) -> Iterator[logstore.Log]:
    """Many small segments, all of the group "orders", and all but the last are sealed."""
    with service.attach() as attached:
        orders = attached.group("orders")
        for number in range(RECORDS):
            orders.append(b"%d " % number + b"x" * 1000)
        until_sealed(attached)
        yield attached


def until_sealed(log: logstore.Log) -> None:
    """Wait until everything is durable, and no segment but the last is without a footer."""
    log.sync()
    until(lambda: len(log.pins()) == log.status().segments - 1, "all but the last are sealed")


def numbers(service: Service, *flags: str) -> list[int]:
    result = call("read", service.name, *flags)
    assert result.exit_code == 0, result.output
    return [int(line.split()[0]) for line in result.stdout.splitlines()]


def test_a_checkpoint_is_durable_when_its_lsn_is_printed(
    service: Service, log: logstore.Log
) -> None:
    result = call("checkpoint", service.name, "orders", "--up-to", "50")
    assert result.exit_code == 0, result.output
    assert int(result.stdout) < log.watermarks().synced
    flags = ("--range", "100-120", "--range", "150-150", "--json")
    (told,) = json_lines(call("checkpoint", service.path, "orders", *flags).stdout)
    assert told["group"] == "orders"
    assert int(result.stdout) < told["lsn"] < log.watermarks().synced
    service.kill_all()
    service.start()
    with service.attach() as again:
        assert again.group("orders").checkpoints().ranges == ((1, 50), (100, 120), (150, 150))


def test_a_checkpoint_of_no_group_or_of_what_is_not_there_changes_nothing(
    service: Service, log: logstore.Log
) -> None:
    result = call("checkpoint", service.name, "nobody", "--up-to", "1")
    assert result.exit_code == 3
    assert "there is no group 'nobody'; there are default, orders" in result.stderr
    assert "nobody" not in log.groups()
    result = call("checkpoint", service.name, "orders", "--up-to", str(RECORDS + 1))
    assert result.exit_code == 2
    assert f"its newest seq is {RECORDS}" in result.stderr
    assert log.group("orders").checkpoints().ranges == ()


def test_compact_gives_back_what_is_checkpointed_and_tells_how_much(
    service: Service, log: logstore.Log
) -> None:
    before = log.status().segments
    assert call("checkpoint", service.name, "orders", "--up-to", str(RECORDS // 2)).exit_code == 0
    (told,) = json_lines(call("compact", service.name, "--timeout", "30", "--json").stdout)
    # The service compacts by itself, too, and may have been first.
    assert told["bytes"] >= 0
    assert told["segments"] == log.status().segments <= before // 2 + 2
    assert numbers(service)[-1] == RECORDS - 1
    result = call("compact", service.path)
    assert result.exit_code == 0
    assert result.stdout == f"gave back 0 B; {told['segments']} segments left\n"


def test_status_tells_what_keeps_the_oldest_segments(service: Service, log: logstore.Log) -> None:
    lines = call("status", service.name).stdout.splitlines()
    begin = next(n for n, line in enumerate(lines) if line.startswith("pins:"))
    shown = lines[begin + 1 : begin + 1 + PINS_SHOWN]
    pins = log.pins()
    assert [line.split()[0] for line in shown] == [pin.segment for pin in pins[:PINS_SHOWN]]
    assert all("group 'orders' needs seq " in line for line in shown)
    assert f"and {len(pins) - PINS_SHOWN} newer segments" in lines[begin + 1 + PINS_SHOWN]
    (told,) = json_lines(call("status", service.name, "--json").stdout)
    assert [pin["lsn"] for pin in told["pins"]] == [pin.lsn for pin in pins]
    assert told["pins"][0]["why"] == "group 'orders' needs seq 1"


def test_status_names_the_cursor_and_the_transaction_that_keep_a_segment(
    service: Service, log: logstore.Log
) -> None:
    log.group("orders").checkpoint(up_to=RECORDS)
    log.cursor("billing").close()
    log.sync()
    (told,) = json_lines(call("status", service.name, "--json").stdout)
    assert {pin["who"] for pin in told["pins"]} == {"the cursor 'billing', held by nobody"}
    log.delete_cursor("billing")
    transaction = log.transaction("orders")
    transaction.append(b"part")
    for _ in range(20):
        last = log.group("orders").append(b"x" * 1000)
    log.group("orders").checkpoint(up_to=log.load(last).seq)
    log.sync()
    until(lambda: log.pins()[-1].lsn > (transaction.id or 0), "the part's segment is sealed")
    (told,) = json_lines(call("status", service.name, "--json").stdout)
    (first, *_) = [pin for pin in told["pins"] if pin["lsn"] + pin["bytes"] > (transaction.id or 0)]
    assert first["why"] == f"parts of a transaction that is open, LSN {transaction.id}"
    assert first["who"] == f"an open transaction, pid {os.getpid()}"
    transaction.abort()


def test_status_goes_on_without_the_pins_if_a_segment_does_not_tell_them(
    service: Service, log: logstore.Log
) -> None:
    segment = service.path / log.pins()[0].segment
    with segment.open("r+b") as file:
        file.seek(-20, 2)
        file.write(b"damage")
    result = call("status", service.name, "--json")
    assert result.exit_code == 0
    (told,) = json_lines(result.stdout)
    assert told["pins"] is None
    assert "what keeps the segments is not known" in result.stderr


def test_read_reverse_prints_the_newest_first(service: Service, log: logstore.Log) -> None:
    assert numbers(service, "--reverse") == list(reversed(range(RECORDS)))
    third = str([record.lsn for record in log.read()][3])
    assert numbers(service, "--reverse", "--end", third) == [2, 1, 0]
    assert numbers(service, "--reverse", "--start", third)[-1] == 3


def test_read_since_begins_at_that_time_in_any_zone(service: Service, log: logstore.Log) -> None:
    before = datetime.now().astimezone()
    log.append(b"1000")
    log.sync()
    for time in (
        before,
        before.astimezone(timezone(timedelta(hours=5))),
        before.replace(tzinfo=None),
    ):
        found = numbers(service, "--since", time.isoformat())
        assert found[-1] == 1000
        assert numbers(service, "--since", time.isoformat(), "--reverse") == found[::-1]
    assert numbers(service, "--since", "1969-01-01") == [*range(RECORDS), 1000]
    # Records have no time of their own: the mark behind the last one tells that it is older.
    until(lambda: numbers(service, "--since", "9000-01-01T00:00Z") == [], "the mark has come")


def test_without_a_service_these_say_that_they_need_one(
    service: Service, log: logstore.Log
) -> None:
    log.close()
    assert service.stop() == 0
    assert call("compact", service.path).exit_code == 6
    assert call("checkpoint", service.path, "orders", "--up-to", "1").exit_code == 6


def test_open_passes_retention_on_to_the_service(clean_place: Path) -> None:
    with logstore.open(
        clean_place, segment_size=8192, retain_bytes="32KiB", retain_age_s=86400.0
    ) as log:
        for _ in range(RECORDS):
            log.append(b"x" * 1000)
        log.sync()

        def dropped() -> bool:
            log.compact(timeout=30.0)
            return log.status().bytes_on_disk < 100_000

        until(dropped, "what is more than is to be retained is dropped")
        assert log.watermarks().start > logstore.FIRST_LSN
