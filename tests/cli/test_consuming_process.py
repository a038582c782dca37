"""Groups, cursors and reverts from the command line, with a service and on its files alone."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

import logstore
from tests.cli.running import call, json_lines
from tests.conftest import Serve
from tests.service import Service

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]


@pytest.fixture
def service(serve: Serve) -> Service:
    return serve()


@pytest.fixture
def log(service: Service) -> Iterator[logstore.Log]:
    """Two groups, a committed and an open transaction."""
    with service.attach() as attached:
        attached.append(b"one")
        attached.group("orders").append(b"order")
        with attached.transaction("orders") as transaction:
            transaction.append(b"part")
            attached.append(b"two")
        unfinished = attached.transaction()
        unfinished.append(b"open")
        attached.sync()
        yield attached
        unfinished.abort()


def test_append_and_read_and_groups_by_group(service: Service, log: logstore.Log) -> None:
    assert call("append", service.name, "--group", "invoices", given=b"a\nb\n").exit_code == 0
    log.sync()
    assert call("read", service.name, "--group", "invoices").stdout == "a\nb\n"
    assert call("read", service.name, "--group", "nobody").exit_code == 3
    told = json_lines(call("groups", service.path, "--json").stdout)
    assert [(one["name"], one["id"], one["appended"]) for one in told] == [
        ("default", 0, 3),
        ("orders", 1, 2),
        ("invoices", 2, 2),
    ]
    assert "invoices" in call("groups", service.name).stdout


def test_read_shows_what_is_there_and_on_request_what_is_not_yet_or_no_more(
    service: Service, log: logstore.Log
) -> None:
    def lines(*flags: str) -> list[str]:
        result = call("read", service.path, *flags)
        assert result.exit_code == 0, result.output
        return result.stdout.splitlines()

    def check() -> None:
        assert lines() == ["one", "order"]
        assert lines("--uncommitted") == ["one", "order"]
        assert lines("--reverted") == ["one", "order", "two", "part"]
        everything = ["one", "order", "part", "two", "open"]
        assert lines("--uncommitted", "--reverted") == everything
        assert lines("--group", "orders") == ["order"]

    assert lines() == ["one", "order", "two", "part"]
    assert lines("--uncommitted") == ["one", "order", "part", "two", "open"]
    (part,) = [one for one in log.read(uncommitted=True) if one.payload == b"part"]
    log.revert(part.lsn)
    check()
    log.close()
    assert service.stop() == 0
    check()  # the files alone


def test_revert_counts_first_and_hides_only_when_told_to(
    service: Service, log: logstore.Log
) -> None:
    _, second, *_ = log.read()
    at = str(second.lsn)
    for flags in ((), ("--dry-run", "--yes")):
        assert call("revert", service.name, at, *flags).exit_code == 2
    result = call("revert", service.name, at, "--dry-run", "--json")
    (told,) = json_lines(result.stdout)
    assert told["groups"] == {"orders": 2, "default": 1}
    assert "would hide 3 records" in call("revert", service.name, at, "--dry-run").stderr
    assert len(list(log.read())) == 4
    assert call("revert", service.name, at, "--yes").exit_code == 0
    assert [record.payload for record in log.read()] == [b"one"]
    assert call("revert", service.name, str(1 << 40), "--yes").exit_code == 2
    assert call("revert", service.name, str(1 << 40), "--dry-run").exit_code == 2
    assert call("revert", service.name, "8", "--yes").exit_code == 3
    assert call("revert", service.name, "nine", "--yes").exit_code == 2


def test_cursors_are_listed_moved_and_deleted(service: Service, log: logstore.Log) -> None:
    lsns = [record.lsn for record in log.read()]
    log.cursor("idle").close()
    with log.cursor("busy", group="orders"):
        told = json_lines(call("cursors", service.name, "--json").stdout)
        assert [(one["name"], one["group"], one["holder"]) for one in told] == [
            ("busy", "orders", os.getpid()),
            ("idle", None, None),
        ]
        table = call("cursors", service.name).stdout
        assert f"pid {os.getpid()}" in table
        assert "cursor " in call("status", service.name).stdout
        for flags in (("--move", "busy", str(lsns[1])), ("--delete", "busy", "--yes")):
            result = call("cursors", service.name, *flags)
            assert result.exit_code == 5
            assert f"pid {os.getpid()}" in result.stderr
    assert call("cursors", service.name, "--move", "idle", str(lsns[1])).exit_code == 0
    assert call("cursors", service.name, "--move", "idle", str(lsns[1] + 8)).exit_code == 2
    assert call("cursors", service.name, "--move", "nobody", str(lsns[1])).exit_code == 3
    assert call("cursors", service.name, "--delete", "busy").exit_code == 2
    assert call("cursors", service.name, "--delete", "busy", "--yes").exit_code == 0
    (idle,) = json_lines(call("cursors", service.path, "--json").stdout)
    assert (idle["name"], idle["position_lsn"]) == ("idle", lsns[1])
    log.close()
    assert service.stop() == 0
    (alone,) = json_lines(call("cursors", service.path, "--json").stdout)
    assert alone["position_lsn"] == lsns[1]
    groups = json_lines(call("groups", service.path, "--json").stdout)
    assert [(one["name"], one["appended"]) for one in groups] == [("default", 3), ("orders", 2)]


def test_following_a_group_that_is_not_there_is_not_found(
    service: Service, log: logstore.Log
) -> None:
    result = call("follow", service.name, "--group", "nobody")
    assert result.exit_code == 3
    assert "there is no group" in result.stderr
