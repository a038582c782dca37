"""Wrong calls on transactions, reverts and read-only handles: clear errors, nothing changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import logstore
from logstore.errors import (
    Closed,
    InvalidArgument,
    InvalidLSN,
    LogstoreError,
    NotFound,
    ReadOnly,
    RecordTooLarge,
)
from logstore.transaction import Transaction
from tests.service import Service

pytestmark = pytest.mark.process


def state_of(log: logstore.Log) -> tuple[int, list[logstore.Record]]:
    """Return all there is to see, and where the log ends but for marks."""
    log.sync()
    records = list(log.read(reverted=True, uncommitted=True))
    return log._client.ring.load(logstore.ring._ring.LAYOUT["newest_revert_lsn"]), records


@pytest.fixture
def unchanged(log: logstore.Log) -> Iterator[None]:
    """Check that the test appends nothing."""
    log.append_many([b"1" * 100, b"2" * 100])
    before = state_of(log)
    yield
    assert state_of(log) == before


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("lsn", "error"),
    [
        (-8, InvalidLSN),
        (4097, InvalidLSN),
        (1 << 62, InvalidLSN),
        (1 << 70, InvalidLSN),
        ("4096", InvalidLSN),
        (None, InvalidLSN),
        (True, InvalidLSN),
        (4096.0, InvalidLSN),
        (0, NotFound),
        (4088, NotFound),
    ],
)
def test_a_revert_to_no_place_in_the_log_is_refused(
    lsn: int, error: type[LogstoreError], log: logstore.Log
) -> None:
    with pytest.raises(error):
        log.revert(lsn)


@pytest.mark.usefixtures("unchanged")
def test_a_revert_beyond_the_end_is_refused(log: logstore.Log) -> None:
    with pytest.raises(InvalidLSN):
        log.revert(log.watermarks().reserved + 8 * 100)


def test_a_revert_to_the_end_hides_nothing(log: logstore.Log) -> None:
    lsn = log.append(b"kept", durability="synced")
    log.revert(log.watermarks().reserved)
    assert [record.lsn for record in log.read()] == [lsn]


def ended(log: logstore.Log, how: str) -> Transaction:
    transaction = log.transaction()
    transaction.append(b"part")
    if how == "committed":
        transaction.commit()
    elif how == "aborted":
        transaction.abort()
    else:
        log.revert(log.watermarks().reserved)
        with pytest.raises(logstore.errors.RevertedError):
            transaction.commit()
    return transaction


@pytest.mark.parametrize("how", ["committed", "aborted", "reverted"])
def test_a_transaction_that_is_over_stays_over(how: str, log: logstore.Log) -> None:
    transaction = ended(log, how)
    before = state_of(log)
    calls: list[Callable[[], object]] = [lambda: transaction.append(b"more"), transaction.commit]
    for call in calls if how == "aborted" else [*calls, transaction.abort]:
        with pytest.raises(InvalidArgument, match=how):
            call()
    if how == "aborted":
        transaction.abort()
    assert state_of(log) == before


@pytest.mark.usefixtures("unchanged")
def test_a_part_that_is_refused_leaves_its_transaction_open_and_the_log_as_it_was(
    log: logstore.Log,
) -> None:
    transaction = log.transaction()
    with pytest.raises(TypeError):
        transaction.append("text")  # type: ignore[arg-type]
    with pytest.raises(RecordTooLarge):
        transaction.append(bytes(1 << 20))
    with pytest.raises(InvalidArgument):
        transaction.append(b"", timeout=-1)
    with pytest.raises(InvalidArgument):
        transaction.append(b"", group="")
    with pytest.raises(InvalidArgument):
        transaction.commit(durability="safe")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument):
        transaction.commit(timeout=-1)
    assert transaction.commit() == 0


@pytest.mark.usefixtures("unchanged")
def test_a_read_only_handle_changes_nothing_and_says_so(
    service: Service, log: logstore.Log
) -> None:
    with service.attach(read_only=True) as reader:
        calls: list[Callable[[], object]] = [
            lambda: reader.group("new"),
            lambda: reader.group("default").append(b""),
            lambda: reader.group("default").append_many([b""]),
            lambda: reader.group("default").reserve(5),
            lambda: reader.transaction(),
            lambda: reader.transaction("default"),
            lambda: reader.revert(4096),
        ]
        for call in calls:
            with pytest.raises(ReadOnly):
                call()
        assert len(list(reader.read())) == 2


def test_a_read_only_handle_sees_reverts_and_transactions(
    service: Service, log: logstore.Log
) -> None:
    with service.attach(read_only=True) as reader:
        kept, hidden = log.append_many([b"kept", b"hidden"], durability="synced")
        reading = reader.read()
        assert next(reading).lsn == kept
        log.revert(hidden)
        assert list(reading) == []
        with log.transaction("orders") as transaction:
            transaction.append(b"part")
            log.sync()
            assert [record.payload for record in reader.read()] == [b"kept"]
        log.sync()
        assert [record.payload for record in reader.read(group="orders")] == [b"part"]
        with pytest.raises(logstore.errors.RevertedError):
            reader.load(hidden)


def test_after_close_every_call_says_closed_and_an_abort_is_harmless(
    service: Service, log: logstore.Log
) -> None:
    other = service.attach()
    group, fresh = other.group("default"), other.transaction()
    begun = log.transaction()  # somebody else's open transaction, so that owners are looked at
    begun.append(b"part")
    before = state_of(log)
    other.close()
    calls: list[Callable[[], object]] = [
        lambda: other.group("default").append(b""),
        lambda: group.append(b""),
        lambda: other.transaction(),
        lambda: fresh.append(b""),
        lambda: other.revert(4096),
        lambda: other.read(),
        lambda: other.load(4096),
    ]
    for call in calls:
        with pytest.raises(Closed):
            call()
    fresh.abort()
    assert state_of(log) == before
    begun.commit()


def test_loading_what_is_no_record_says_which_way_it_is_none(log: logstore.Log) -> None:
    with log.transaction() as transaction:
        part = transaction.append(b"part")
    assert transaction.lsn is not None
    hidden = log.append(b"hidden")
    at = log.revert(hidden)
    assert log.load(part).payload == b"part"
    with pytest.raises(logstore.errors.RevertedError):
        log.load(hidden)
    for lsn in (transaction.lsn, at, part + 8, hidden + 8, log.watermarks().reserved + 800):
        with pytest.raises(InvalidLSN):
            log.load(lsn)
    with pytest.raises(NotFound):
        log.load(4088)
