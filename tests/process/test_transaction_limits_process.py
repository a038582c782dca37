"""The places of open transactions are given back, and the size of a part has its limit."""

from __future__ import annotations

import os

import pytest

import logstore
from logstore.errors import RecordTooLarge
from logstore.ring.layout import TRANSACTIONS
from logstore.ring.transactions import open_transactions
from tests.conftest import Serve

pytestmark = pytest.mark.process


def test_a_transaction_that_is_dropped_gives_its_place_back(serve: Serve) -> None:
    with serve().attach() as log:
        for n in range(TRANSACTIONS + 1):
            log.transaction().append(b"%d" % n)
        assert open_transactions(log._client) == []
        log.sync()
        assert list(log.read()) == []
        kept = log.transaction()
        kept.append(b"kept")
        child = os.fork()
        if child == 0:
            kept.__del__()  # as at the end of a child that ends in order
            os._exit(0)
        assert os.waitpid(child, 0) == (child, 0)
        assert [one.first_lsn for one in open_transactions(log._client)] == [kept.id]
        kept.commit(durability="synced")
        assert [record.payload for record in log.read()] == [b"kept"]
        late = log.transaction()
        late.append(b"late")
    assert late.id
    del late  # after its log was closed: nobody's entry is touched, and nothing is said


def test_a_part_that_is_too_large_is_told_the_right_limit(log: logstore.Log) -> None:
    most = log._client.ring.largest_payload - 8
    transaction = log.transaction()
    with pytest.raises(RecordTooLarge, match=f"at most {most} bytes of payload"):
        transaction.append(bytes(most + 1))
    transaction.append(bytes(most))
    transaction.commit(durability="synced")
    assert [len(record.payload) for record in log.read()] == [most]
