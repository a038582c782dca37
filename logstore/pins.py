"""What keeps the log from being compacted: who needs which segment."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from logstore import cursors
from logstore.errors import NotFound
from logstore.files import Directory
from logstore.format import Kind
from logstore.payloads import encode_txn_abort
from logstore.ring._ring import LAYOUT
from logstore.ring.layout import CLIENTS, client_offset, index_of
from logstore.ring.transactions import open_transactions
from logstore.segments import manifest as manifests
from logstore.segments.fold import catalog_at
from logstore.segments.footer import Footer, read_footer
from logstore.segments.needed import Hold, Looks, Pin, Reason, Verdict, judge
from logstore.segments.search import Finder
from logstore.segments.segment import segment_name
from logstore.segments.voided import VoidedParts

if TYPE_CHECKING:
    from logstore.ring.client import Client
    from logstore.segments.catalog import Catalog
    from logstore.segments.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Holder:
    """Say what keeps one segment, for people to read.

    Attributes:
        segment: The segment's name.
        lsn: Where it begins.
        bytes: How many bytes of frames it has.
        why: What is needed of it.
        who: Whose it is, as far as that is known: a reader's or a transaction's pid, a cursor.
        since_ns: Wall-clock time of the oldest clock reading in it; 0 if it has none.
    """

    segment: str
    lsn: int
    bytes: int
    why: str
    who: str
    since_ns: int


def pins_of(client: Client, directory: Directory) -> list[Pin]:
    """Return what living readers and transactions, and cursors, need: each an LSN and who."""
    ring = client.ring
    pins = []
    for index in range(CLIENTS):
        lsn = ring.load(client_offset(index, "pinned_lsn"))
        if lsn and client.held(index):
            pins.append(Pin(lsn, f"a reader, pid {ring.load(client_offset(index, 'pid'))}"))
    for one in open_transactions(client):
        pid = ring.load(client_offset(index_of(one.owner), "pid"))
        pins.append(Pin(one.first_lsn, f"an open transaction, pid {pid}", reads=False))
    for lsn, name, holder in cursors.pins(directory):
        held = "held by nobody" if holder is None else f"pid {holder}"
        pins.append(Pin(lsn, f"the cursor {name!r}, {held}"))
    return pins


class Orphans:
    """Remember when open transactions were first found to have no living owner.

    Under load the durable end is always behind, and no single look could tell that a transaction
    is over. Kept from one compaction to the next.
    """

    def __init__(self) -> None:
        self._over_lsn: dict[int, int] = {}

    @property
    def undecided(self) -> bool:
        """Whether a later look may tell more."""
        return bool(self._over_lsn)

    def abort(self, catalog: Catalog, found: Collection[int], over_lsn: int, synced: int) -> None:
        """Take the transactions as aborted whose commit the catalog would know.

        Args:
            catalog: Of the durable log.
            found: Those that are open in it and that no living client owns.
            over_lsn: Whatever the dead ones appended lies below.
            synced: Up to where the catalog knows.
        """
        # A transaction that a catalog does not show as open any more never comes back.
        before, self._over_lsn = self._over_lsn, {}
        for transaction in found:
            noticed = before.get(transaction, over_lsn)
            if noticed <= synced:
                catalog.apply(0, Kind.TXN_ABORT, 0, 0, encode_txn_abort(transaction))
            else:
                self._over_lsn[transaction] = noticed


def catalog_of_living(client: Client, directory: Directory, orphans: Orphans) -> Catalog:
    """Return the catalog of what is durable, with the transactions of the dead as aborted."""
    ring = client.ring
    # Order: a transaction that is not in the table is dead only if the log, up to where the
    # catalog looks, would tell of its commit: whoever commits leaves the table afterwards. And it
    # must have begun before the look at the table.
    begun_lsn = ring.load(LAYOUT["head"])
    living = open_transactions(client)
    over_lsn = ring.load(LAYOUT["head"])
    synced = ring.load(LAYOUT["synced"])
    catalog = catalog_at(directory, client.identity.uuid, synced)
    ids = {one.first_lsn for one in living if one.exact}
    bounds = [one.first_lsn for one in living if not one.exact]
    found = [
        transaction
        for transaction in catalog.open
        if transaction < begun_lsn
        and transaction not in ids
        and not any(bound <= transaction for bound in bounds)
    ]
    orphans.abort(catalog, found, over_lsn, synced)
    return catalog


def verdicts_on(
    client: Client,
    directory: Directory,
    manifest: Manifest,
    voided: VoidedParts,
    orphans: Orphans,
) -> tuple[list[Verdict], list[Footer]]:
    """Judge every sealed segment; reads all their footers."""
    # Order: what is needed of the log, then the pins. A reader that began before a transaction
    # ended is then seen if the transaction's end is; the other way round nobody would be.
    catalog = catalog_of_living(client, directory, orphans)
    # Order: the pins before the footers: who comes later finds the manifest as it is then.
    pins = pins_of(client, directory)
    footers = []
    for sealed in manifest.sealed:
        footer = read_footer(directory, segment_name(sealed.base_lsn))
        if footer is None:
            break  # cannot be; verify tells
        footers.append(footer)
    synced = client.ring.load(LAYOUT["synced"])
    finder = Finder(directory, client.identity.uuid, lambda: synced)
    looks = Looks(finder.first_seq_from, voided.between)
    return judge(footers, catalog, pins, looks), footers


def holders(client: Client, directory: Directory) -> list[Holder]:
    """Say of every sealed segment that stays what keeps it; reads all footers."""
    manifest = manifests.load(directory)
    voided = VoidedParts(directory, client.identity.uuid)
    while manifest is not None:
        try:
            verdicts, footers = verdicts_on(client, directory, manifest, voided, Orphans())
        except NotFound:
            # Dropped meanwhile; the manifest is saved before, and must tell of it.
            before, manifest = manifest, manifests.load(directory)
            if manifest == before:
                raise
        else:
            return _holders(verdicts, footers)
    return []


def _holders(verdicts: list[Verdict], footers: list[Footer]) -> list[Holder]:
    return [
        Holder(
            segment=segment_name(verdict.base_lsn),
            lsn=verdict.base_lsn,
            bytes=verdict.end_lsn - verdict.base_lsn,
            why=_why(hold, footer),
            who=_who(hold, verdict),
            since_ns=footer.times[0].time_ns if footer.times else 0,
        )
        for verdict, footer in zip(verdicts, footers, strict=True)
        for hold in verdict.holds[:1]
    ]


def _who(hold: Hold, verdict: Verdict) -> str:
    # An open transaction also pins where it begins, and the pin knows the process.
    pins = (pin.who for pin in verdict.holds if pin.who and pin.lsn == hold.lsn)
    return hold.who or (next(pins, "") if hold.reason is Reason.OPEN_TRANSACTION else "")


def _why(hold: Hold, footer: Footer) -> str:
    if hold.reason is Reason.RECORDS:
        names = {group.id: group.name for group in footer.groups}
        return f"group {names[hold.group or 0]!r} needs seq {hold.seq}"
    return hold.reason.value if hold.lsn is None else f"{hold.reason.value}, LSN {hold.lsn}"
