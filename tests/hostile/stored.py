"""What is stored, read twice: by the code under test and by the decoders of this folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from logstore import payloads
from logstore.engines import snapshots
from logstore.errors import Corruption, IncompatibleFormat
from logstore.format import SegmentHeader, decode_mark
from logstore.segments.catalog import Catalog
from logstore.segments.catalog_sections import catalog_of, committed_in
from logstore.segments.cursors import SavedCursor
from logstore.segments.footer import Footer, Section
from logstore.segments.manifest import Manifest
from logstore.segments.repairs import Repairs
from tests.hostile.decoders import binary, texts
from tests.hostile.decoders import payloads as references
from tests.hostile.decoders.verdicts import Corrupt, Newer
from tests.memory_directory import MemoryDirectory

Answer: TypeAlias = tuple[str, object]
Decode: TypeAlias = Callable[[bytes], object]


def answer_of(decode: Decode, data: bytes) -> Answer:
    """Let the code under test decode; any other exception is a finding, and gets through."""
    try:
        return "means", decode(data)
    except Corruption:
        return "corrupt", None
    except IncompatibleFormat:
        return "newer", None


def reference_of(decode: Decode, data: bytes) -> Answer:
    """Let a decoder of this folder decode."""
    try:
        return "means", decode(data)
    except Corrupt:
        return "corrupt", None
    except Newer:
        return "newer", None


def compare(decode: Decode, reference: Decode, data: bytes) -> Answer:
    """Let both decode, and require that they agree; return what they say."""
    found, expected = answer_of(decode, data), reference_of(reference, data)
    assert found == expected, f"{data.hex()}\n  {found}\n  {expected}"
    return found


# Texts.


def _manifest(data: bytes) -> object:
    one = Manifest.decode(data)
    sealed = [(s.base_lsn, s.end_lsn, s.digest, s.header_crc) for s in one.sealed]
    return one.uuid, one.name, one.epoch, one.clean, one.start_lsn, sealed, one.active_base_lsn


def _cursor(data: bytes) -> object:
    one = SavedCursor.decode(data)
    return one.name, one.group, one.position_lsn, one.updated_ns


def _repairs(data: bytes) -> object:
    one = Repairs.decode(data)
    rows = [[tuple(row) for row in rows] for rows in (one.holes, one.lost, one.resumed)]
    return *rows, None if one.unfinished is None else tuple(one.unfinished)


def check_manifest(data: bytes) -> None:
    """Read a MANIFEST; what means something is written in the same bytes again."""
    compare(_manifest, texts.manifest, data)


def check_cursor(data: bytes) -> None:
    """Read a cursor's file."""
    compare(_cursor, texts.cursor, data)


def check_repairs(data: bytes) -> None:
    """Read REPAIRS."""
    if compare(_repairs, texts.repairs, data)[0] == "means":
        assert Repairs.decode(data).encode() == data


# Headers, footers, snapshots.


def _header(data: bytes) -> object:
    one = SegmentHeader.decode(data)
    features = (one.read_only_compatible, one.compatible)
    assert not one.incompatible
    return (
        *(one.uuid, one.epoch, one.salt, one.previous_digest, one.base_lsn),
        *(one.previous_end_lsn, one.created_ns, *features, one.crc),
    )


def check_header(data: bytes) -> None:
    """Read a segment's header."""
    compare(_header, binary.header, data)


def _ranges(pairs: object) -> list[tuple[int, int]]:
    return list(pairs)  # type: ignore[call-overload,no-any-return]


def _footer(data: bytes) -> object:
    one = Footer.decode(data)
    names = one.names()
    assert all(names[group.id] == group.name for group in one.groups)
    rows = [
        (g.id, g.name, g.first_seq, g.last_seq, g.record_count, [tuple(p) for p in g.points])
        for g in one.groups
    ]
    times = [tuple(time) for time in one.times]
    fields = (one.base_lsn, one.end_lsn, one.record_count, one.frames_digest)
    return *fields, rows, times, {s.type: s.data for s in one.others}


def _reference_footer(data: bytes) -> object:
    fields, found = binary.footer(data)
    return *fields, {kind: said for kind, said in found.items() if kind not in (1, 2)}


def _of_section(kind: int) -> Decode:
    def decode(data: bytes) -> object:
        footer = Footer(4096, 4096, 0, 0, others=(Section(kind, 0, data),))
        catalog = catalog_of(footer)
        if kind == 3:
            return _checkpoints(catalog)
        if kind == 5:
            return catalog.newest_revert_lsn, [tuple(one) for one in catalog.hidden]
        listed = sorted((*catalog.open.values(), *committed_in(footer)), key=lambda one: one.id)
        return catalog.epoch, [
            (
                t.id,
                t.last_lsn,
                t.part_count,
                t.commit_lsn,
                {g: _ranges(s) for g, s in t.seqs.items()},
            )
            for t in listed
        ]

    return decode


def _checkpoints(catalog: Catalog) -> object:
    done = {group: _ranges(seqs) for group, seqs in catalog.checkpoints.items()}
    partial = {
        key: (one.total, _ranges(one.done), _ranges(one.covered))
        for key, one in catalog.partial.items()
    }
    return done, catalog.told, partial


SECTIONS: Final[dict[int, tuple[Decode, Decode]]] = {
    3: (_of_section(3), binary.checkpoints),
    4: (_of_section(4), binary.transactions),
    5: (_of_section(5), binary.reverts),
}


def check_footer(data: bytes) -> None:
    """Read a footer, and the sections that say what frames mean."""
    verdict, _ = compare(_footer, _reference_footer, data)
    if verdict == "means":
        for section in Footer.decode(data).others:
            if section.type in SECTIONS:
                compare(*SECTIONS[section.type], section.data)
        answer_of(catalog_of_bytes, data)


def catalog_of_bytes(data: bytes) -> object:
    """Read the catalog that a footer carries."""
    return catalog_of(Footer.decode(data))


def check_section(kind: int, data: bytes) -> None:
    """Read one section of a footer."""
    compare(*SECTIONS[kind], data)


def _snapshot(data: bytes) -> object:
    directory = MemoryDirectory()
    directory.files[f"snapshots/{b'orders'.hex()}.snapshot"] = bytearray(data)
    one = snapshots.load(directory, "orders")
    assert one is not None
    assert directory.open_count == 0
    return one.resume_lsn, list(one.applied), one.state


def check_snapshot(data: bytes) -> None:
    """Read a snapshot."""
    compare(_snapshot, binary.snapshot, data)


# Payloads.


def _checkpoint(data: bytes) -> object:
    one = payloads.decode_checkpoint(data)
    assert payloads.encode_checkpoint(one) == data
    if isinstance(one, payloads.CheckpointRanges):
        return 1, list(one.ranges)
    return 2, one.key, one.total, list(one.done), list(one.covered)


def _revert(lsn: int) -> Decode:
    return lambda data: [tuple(one) for one in payloads.decode_revert(data, lsn)]


def _group_name(data: bytes) -> object:
    catalog = Catalog()
    catalog.name_group(7, data)
    return catalog.groups[7].name


def check_payload(which: int, lsn: int, data: bytes) -> None:
    """Read the payload of a frame of one kind or another, at some LSN; and apply it as a frame."""
    decodes: tuple[Decode, ...] = (
        payloads.part_transaction,
        lambda data: tuple(payloads.decode_commit(data)),
        payloads.decode_txn_abort,
        _checkpoint,
        _revert(lsn),
        decode_mark,
        _group_name,
    )
    reference = references.PAYLOADS[which]
    compare(decodes[which], lambda data: reference(data, lsn), data)
    for kind in range(1, 10):
        answer_of(lambda data, kind=kind: Catalog().apply(lsn, kind, 3, 9, data), data)  # type: ignore[misc]
