"""How `append` and `wait` may be called, and what they say when they are called otherwise."""

from __future__ import annotations

import gc
import inspect
import pickle
import weakref
from collections.abc import Callable, Iterator

import pytest

import logstore
from logstore import InvalidArgument, InvalidLSN
from logstore.lsn import DURABILITIES, Durability
from tests.service import Service

pytestmark = pytest.mark.process


@pytest.fixture
def log(shared: Service) -> Iterator[logstore.Log]:
    with shared.attach() as log:
        yield log


def test_all_arguments_can_be_given_by_name(log: logstore.Log) -> None:
    lsns = [
        log.append(payload=b"1"),
        log.append(b"2", durability="written"),
        log.append(b"3", timeout=5, durability="synced"),
        log.append(durability="ring", payload=b"4", timeout=None),
    ]
    log.wait(lsns[0])
    log.wait(lsns[1], "written", 5.0)
    log.wait(timeout=5.0, lsn=lsns[3], durability="synced")
    assert [bytes(log.load(lsn).payload) for lsn in lsns] == [b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("timeout", [None, 20])
@pytest.mark.parametrize("level", DURABILITIES)
def test_what_is_waited_for_is_there_on_return(
    level: Durability, timeout: float | None, log: logstore.Log
) -> None:
    for _ in range(20):
        lsn = log.append(b"1", durability=level, timeout=timeout)
        assert level == "ring" or getattr(log.watermarks(), level) > lsn
        lsn = log.append(b"2")
        log.wait(lsn, level, timeout)
        assert getattr(log.watermarks(), "published" if level == "ring" else level) > lsn


def test_a_group_appends_to_itself(log: logstore.Log) -> None:
    orders = log.group("orders")
    lsns = [orders.append(b"a"), orders.append(b"b", durability="synced")]
    found = [log.load(lsn) for lsn in lsns]
    assert [(record.group, record.seq) for record in found] == [("orders", 1), ("orders", 2)]
    assert not hasattr(orders, "wait"), "that is the log's: its LSNs are not seqs"


@pytest.mark.parametrize(
    ("words", "named", "what"),
    [
        ((), {}, r"append\(\) missing 1 required argument: 'payload'"),
        ((b"a", b"b"), {}, r"append\(\) takes 1 positional argument but 2 were given"),
        ((b"a", "synced"), {}, r"append\(\) takes 1 positional argument but 2 were given"),
        ((b"a",), {"payload": b"b"}, r"append\(\) got multiple values for argument 'payload'"),
        ((b"a",), {"speed": 1}, r"append\(\) got an unexpected keyword argument 'speed'"),
        (("a",), {}, "encode it first"),
        (("a",), {"durability": "synced"}, "encode it first"),
    ],
)
def test_append_called_wrongly_says_so_and_appends_nothing(
    words: tuple[object, ...], named: dict[str, object], what: str, log: logstore.Log
) -> None:
    append: Callable[..., int] = log.append
    before = log.watermarks().reserved
    with pytest.raises(TypeError, match=what):
        append(*words, **named)
    for durability in ("disk", "", b"synced", 2):
        with pytest.raises(InvalidArgument):
            append(b"", durability=durability)
    with pytest.raises(InvalidArgument):
        append(b"", durability="synced", timeout=-1)
    assert log.watermarks().reserved == before


@pytest.mark.parametrize(
    ("words", "named", "what"),
    [
        ((), {}, r"wait\(\) missing 1 required argument: 'lsn'"),
        ((1, "synced", 1, 1), {}, r"wait\(\) takes 3 positional arguments but 4 were given"),
        ((1, "synced"), {"durability": "ring"}, "multiple values for argument 'durability'"),
        ((1,), {"until": 1}, r"wait\(\) got an unexpected keyword argument 'until'"),
    ],
)
def test_wait_called_wrongly_says_so(
    words: tuple[object, ...], named: dict[str, object], what: str, log: logstore.Log
) -> None:
    wait: Callable[..., None] = log.wait
    with pytest.raises(TypeError, match=what):
        wait(*words, **named)


@pytest.mark.parametrize("lsn", [-8, 1, 2**70, "4096", 4096.0, None])
def test_wait_for_what_is_no_position_says_so(lsn: object, log: logstore.Log) -> None:
    wait: Callable[..., None] = log.wait
    with pytest.raises((InvalidLSN, InvalidArgument)):
        wait(lsn)


def test_the_signatures_are_there_to_be_read() -> None:
    assert list(inspect.signature(logstore.Log.append).parameters) == [
        "self",
        "payload",
        "durability",
        "timeout",
    ]
    assert inspect.getdoc(logstore.Log.append) == inspect.getdoc(logstore.Group.append)
    assert "Raises:" in (inspect.getdoc(logstore.Log.wait) or "")


def test_a_log_and_its_groups_go_when_nobody_has_them(shared: Service) -> None:
    log = shared.attach()
    copy = pickle.loads(pickle.dumps(log))
    group = copy.group("orders")
    vars(copy)["mine"] = group  # a cycle through what C holds
    gone = [weakref.ref(copy), weakref.ref(group)]
    copy.close()
    log.close()
    del copy, group
    gc.collect()
    assert [ref() for ref in gone] == [None, None]
