"""The table of open transactions in the region: which there are, and whose.

A transaction whose owner is dead is over: it can never be committed. The table says so before
anything is appended, so compaction never drops parts that may still become visible.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from logstore.errors import LimitReached
from logstore.ring._ring import LAYOUT
from logstore.ring.client import Client
from logstore.ring.layout import TRANSACTIONS, transaction_offset

_UNKNOWN = 1
"""Set in `first_lsn` while it is a lower bound: LSNs are multiples of 8."""


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """Describe an open transaction.

    Attributes:
        first_lsn: Its first part, or a lower bound of it.
        exact: Whether `first_lsn` is its id.
        owner: The token of its client.
    """

    index: int
    first_lsn: int
    exact: bool
    owner: int


def claim(client: Client) -> int:
    """Claim an entry for a transaction about to begin; return its index.

    Raises:
        LimitReached: 4,096 transactions are open.
    """
    ring = client.ring
    owners = ring.words(LAYOUT["transactions"], 2 * TRANSACTIONS)[::2]
    for index, owner in _candidates(client, owners):
        if ring.swap(transaction_offset(index, "owner"), owner, ring.token):
            # Order: claimed with a lower bound before the first part is appended.
            ring.store(transaction_offset(index, "first_lsn"), ring.load(LAYOUT["head"]) | _UNKNOWN)
            return index
    raise LimitReached(f"{TRANSACTIONS} transactions are open already")


def _candidates(client: Client, owners: list[int]) -> Iterator[tuple[int, int]]:
    """Iterate over the free entries, then over those of the dead: each of these costs a call."""
    yield from ((index, owner) for index, owner in enumerate(owners) if not owner)
    yield from (
        (index, owner) for index, owner in enumerate(owners) if owner and not client.alive(owner)
    )


def begun(client: Client, index: int, first_lsn: int) -> None:
    """Record the transaction's id, the LSN of its first part."""
    client.ring.store(transaction_offset(index, "first_lsn"), first_lsn)


def release(client: Client, index: int) -> None:
    """Give an entry back after commit or abort."""
    # After a detachment it may be another client's already.
    client.ring.swap(transaction_offset(index, "owner"), client.ring.token, 0)


def open_transactions(client: Client) -> list[OpenTransaction]:
    """Return the transactions whose owners live."""
    words = client.ring.words(LAYOUT["transactions"], 2 * TRANSACTIONS)
    return [
        OpenTransaction(index, first & ~_UNKNOWN, not first & _UNKNOWN, owner)
        for index, (owner, first) in enumerate(zip(words[::2], words[1::2], strict=True))
        if owner and client.alive(owner)
    ]
