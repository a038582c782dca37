"""Errors say what the caller can do by their class, and where by their message."""

from __future__ import annotations

import errno
import inspect
import pickle

import pytest

from logstore import errors
from logstore.errors import (
    Corruption,
    InvalidArgument,
    InvalidLSN,
    LogstoreError,
    NotFound,
    PermissionDenied,
    RecordTooLarge,
    Timeout,
)

CLASSES = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if issubclass(error, LogstoreError) and error is not LogstoreError
]


def test_the_message_names_every_place_that_is_known() -> None:
    error = Corruption("bad frame", path="/d", segment="0.seg", offset=4096, lsn=8192)
    assert str(error) == "bad frame (path /d, segment 0.seg, offset 4096, lsn 8192)"


def test_a_message_without_a_place_stands_alone() -> None:
    assert str(Corruption("bad frame")) == "bad frame"


def test_a_place_that_is_learned_later_is_in_the_message_too() -> None:
    error = Corruption("bad frame")
    error.lsn = 8
    assert str(error) == "bad frame (lsn 8)"


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_survives_pickling(kind: type[LogstoreError]) -> None:
    error = kind("gone", path="/d", lsn=8, errno=errno.EIO, pid=1)
    error.add_note("seen in a test")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert (copy.path, copy.lsn, copy.errno, copy.pid) == (error.path, 8, errno.EIO, 1)
    assert copy.__notes__ == ["seen in a test"]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_says_what_to_do(kind: type[LogstoreError]) -> None:
    assert kind.__doc__
    assert kind.__doc__.startswith("Tell that")


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (Timeout, TimeoutError),
        (InvalidArgument, ValueError),
        (InvalidLSN, ValueError),
        (RecordTooLarge, ValueError),
        (NotFound, LookupError),
        (PermissionDenied, PermissionError),
    ],
)
def test_errors_are_what_python_programs_expect(
    kind: type[LogstoreError], builtin: type[Exception]
) -> None:
    with pytest.raises(builtin):
        raise kind("so")


def test_a_denied_permission_keeps_its_errno() -> None:
    error = PermissionDenied("no", errno=errno.EACCES)
    assert isinstance(error, OSError)
    assert error.errno == errno.EACCES
