"""What a running log says of itself, sampled from the region without disturbing anybody."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from logstore.cursors import CursorStatus, listing
from logstore.disk_errors import reading
from logstore.errors import Corruption, NotFound, PermissionDenied
from logstore.files import Directory
from logstore.lsn import Watermarks
from logstore.ring._ring import LAYOUT, Ring
from logstore.ring.client import Client
from logstore.ring.failure import failure
from logstore.ring.layout import BUCKETS, CLIENTS, ROLES, SYNCER, State, client_offset, index_of
from logstore.ring.liveness import LockFile
from logstore.segments import repairs

STALL_S: Final = 1.0
_PASSES: Final = {"record": "written", "drain": "written", "sync": "synced"}
_COUNTERS: Final = (
    "drains",
    "drain_bytes",
    "aborts",
    "rotations",
    "syncs",
    "sync_bytes",
    "repairs",
    "committer_restarts",
    "syncer_restarts",
)


@dataclass(frozen=True, slots=True)
class ClientStatus:
    """Say who is attached and what it did; counts are over all holders of the entry so far.

    Attributes:
        role: "supervisor", "committer", "syncer", or None for an ordinary client.
        attached_s: Seconds since it attached.
    """

    index: int
    role: str | None
    pid: int
    command: str
    alive: bool
    appends: int
    bytes: int
    batches: int
    stalls: int
    attached_s: float


@dataclass(frozen=True, slots=True)
class Status:
    """Hold one sample of a running log's state.

    Attributes:
        stall: Who holds all others up: `lsn`, `pid`, `age_s`, and `holds`: "record" that its writer
            reserved and does not finish, "guard" that he does not leave, "sync" or "drain" that the
            syncer or the committer does not get on with, because it is stopped or the disk does not
            answer; None if nobody takes longer than a second. A new one shows within half a second.
        failure: `path`, `stage` and `errno` of what made the log FULL or FAILED, else None.
        bytes_on_disk: Size of all segment files, preparation included.
        histograms: Name to counts; bucket i counts values from 2**i to 2**(i+1) - 1, in
            nanoseconds (append_stall, durable_wait, sync_time) or bytes (drain_size).
        cursors: Every durable cursor, with its saved position.
        holes: Stretches that were lost to damage, as LSNs, before this service started.
    """

    name: str
    path: Path
    uuid: str
    epoch: int
    state: str
    failure: dict[str, Any] | None
    stall: dict[str, Any] | None
    watermarks: Watermarks
    ring_size: int
    ring_used: int
    segments: int
    bytes_on_disk: int
    clients: list[ClientStatus]
    cursors: list[CursorStatus]
    holes: list[tuple[int, int]]
    counters: dict[str, int]
    histograms: dict[str, list[int]]

    @property
    def served(self) -> bool:
        """Whether somebody drains the ring, or will: the supervisor, or both workers.

        False after all of them were killed: the region is then still there, and what it holds
        is recovered when the service is started again.
        """
        alive = {client.role for client in self.clients if client.alive}
        return "supervisor" in alive or {"committer", "syncer"} <= alive

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        return {**asdict(self), "path": str(self.path), "served": self.served}


def watermarks(ring: Ring) -> Watermarks:
    """Read the watermarks; each later one is read later, so their order holds."""
    load = ring.load
    return Watermarks(
        start=load(LAYOUT["start"]),
        checkpointed=load(LAYOUT["checkpointed"]),
        synced=load(LAYOUT["synced"]),
        written=load(LAYOUT["written"]),
        published=load(LAYOUT["published"]),
        reserved=load(LAYOUT["head"]),
    )


def sample(client: Client) -> Status:
    """Sample a running log. Reads the region and lists the directory; blocks nobody."""
    ring, identity = client.ring, client.identity
    marks = watermarks(ring)
    state = client.state
    sizes = _segment_sizes(identity.directory)
    clients = _clients(client)
    return Status(
        name=identity.name,
        path=identity.directory,
        uuid=identity.uuid.hex(),
        epoch=identity.epoch,
        state=state.name.lower(),
        failure=_failure(ring) if state in (State.FULL, State.FAILED) else None,
        stall=stall(ring),
        watermarks=marks,
        ring_size=identity.ring_size,
        ring_used=marks.reserved - marks.written,
        segments=sum(1 for name in sizes if name.endswith(".seg")),
        bytes_on_disk=sum(sizes.values()),
        clients=clients,
        cursors=_cursors(identity.directory, marks.synced),
        holes=_holes(identity.directory),
        counters=_counters(ring),
        histograms=_histograms(ring),
    )


def _failure(ring: Ring) -> dict[str, Any]:
    path, stage, number = failure(ring)
    return {"path": str(path), "stage": stage, "errno": number}


def stall(ring: Ring) -> dict[str, Any] | None:
    """Return who holds all others up; see Status.stall."""
    for words, plain in (("held", "guard"), ("blocked", "record"), ("late", None)):
        lsn, age_s = ring.load(LAYOUT[f"{words}_lsn"]), ring.load(LAYOUT[f"{words}_ns"]) / 1e9
        index = index_of(ring.load(LAYOUT[f"{words}_owner"]))
        holds = plain or ("sync" if index == SYNCER else "drain")
        # Who gets on does so for a while before it is said.
        over = holds in _PASSES and lsn < ring.load(LAYOUT[_PASSES[holds]])
        if lsn and age_s >= STALL_S and not over:
            pid = ring.load(client_offset(index, "pid"))
            return {"lsn": lsn, "pid": pid, "age_s": age_s, "holds": holds}
    return None


def _segment_sizes(directory: Path) -> dict[str, int]:
    found = {}
    for entry in directory.iterdir():
        if entry.name == "next.tmp" or entry.name.endswith(".seg"):
            try:
                found[entry.name] = entry.stat().st_size
            except FileNotFoundError:
                continue  # Renamed or dropped meanwhile.
    return found


def _opened(path: Path) -> Directory:
    with reading("the data directory"):
        return Directory.open(path, create=False)


def _cursors(path: Path, synced_lsn: int) -> list[CursorStatus]:
    with suppress(PermissionDenied), _opened(path) as directory:
        return listing(directory, synced_lsn)
    return []  # to who may not see them


def _holes(path: Path) -> list[tuple[int, int]]:
    with suppress(PermissionDenied, Corruption), _opened(path) as directory:
        return [(hole.from_lsn, hole.until_lsn) for hole in repairs.load(directory).holes]
    return []  # to who may not see them; `logstore verify` says what is wrong


def _clients(client: Client) -> list[ClientStatus]:
    """Describe the client table. Who may not ask the lock file is told that everybody lives."""
    locks: LockFile | None = None
    with suppress(PermissionDenied, NotFound):
        locks = LockFile(client.identity.directory, read_only=True)
    try:
        described = (_client(client, index, locks) for index in range(CLIENTS))
        return [status for status in described if status is not None]
    finally:
        if locks is not None:
            locks.close()


def _client(client: Client, index: int, locks: LockFile | None) -> ClientStatus | None:
    """Describe an entry of the client table, if somebody holds it."""
    load = client.ring.load
    if load(client_offset(index, "generation")) == 0:
        return None
    alive = locks is None or locks.held(index)
    if not alive and index not in ROLES:
        return None
    command = client.ring.read_header(client_offset(index, "command"), LAYOUT["command.size"])
    attached_ns = load(client_offset(index, "attached_ns"))
    return ClientStatus(
        index=index,
        role=ROLES.get(index),
        pid=load(client_offset(index, "pid")),
        command=command.split(b"\0", 1)[0].decode(errors="replace"),
        alive=alive,
        appends=load(client_offset(index, "appends")),
        bytes=load(client_offset(index, "bytes")),
        batches=load(client_offset(index, "batches")),
        stalls=load(client_offset(index, "stalls")),
        attached_s=max(0.0, (time.time_ns() - attached_ns) / 1e9),
    )


def _counters(ring: Ring) -> dict[str, int]:
    found = {name: ring.load(LAYOUT[name]) for name in _COUNTERS}
    for name in ("appends", "bytes", "batches", "stalls"):
        entries = range(CLIENTS)
        found[name] = sum(ring.load(client_offset(index, name)) for index in entries)
    return found


def _histograms(ring: Ring) -> dict[str, list[int]]:
    found = {name: ring.words(LAYOUT[name], BUCKETS) for name in ("drain_size", "sync_time")}
    for name in ("append_stall", "durable_wait"):
        total = [0] * BUCKETS
        for index in range(CLIENTS):
            if ring.load(client_offset(index, "generation")):
                counts = ring.words(client_offset(index, name), BUCKETS)
                total = [a + b for a, b in zip(total, counts, strict=True)]
        found[name] = total
    return found
