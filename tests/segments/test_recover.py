"""Recovery of whole directories: what is kept, cut, put aside, refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from logstore.errors import Corruption, IncompatibleFormat, InvalidLSN, NotFound
from logstore.files import Directory
from logstore.format import Kind, SegmentHeader
from logstore.segments import manifest as manifests
from logstore.segments.footer import GroupRange, read_footer
from logstore.segments.points import Points
from logstore.segments.recover import Recovered, recover
from logstore.segments.segment import segment_name
from tests.memory_directory import MemoryDirectory
from tests.segments.small_log import (
    UUID,
    SmallLog,
    change,
    content,
    contents,
    cut,
    facts,
    flip,
    read_all,
    three_segments,
)


def _fresh() -> SmallLog:
    return SmallLog(MemoryDirectory())


def _recovered(log: SmallLog, **proofs: int) -> Recovered:
    """Recover, check that everything is sealed, and that doing it again changes nothing."""
    recovered = recover(log.directory, **proofs)
    manifest = recovered.manifest
    assert manifests.load(log.directory) == manifest
    assert (manifest.clean, manifest.active_base_lsn) == (False, None)
    for one in manifest.sealed:
        footer = read_footer(log.directory, segment_name(one.base_lsn))
        assert footer is not None
        assert (footer.end_lsn, footer.frames_digest) == (one.end_lsn, one.digest)
    if manifest.sealed:
        assert recovered.footer == read_footer(
            log.directory, segment_name(manifest.sealed[-1].base_lsn)
        )
    before = contents(log.directory)
    again = recover(log.directory, **proofs)
    assert contents(log.directory) == before
    assert (again.manifest, again.end_lsn, again.footer, again.cut_bytes) == (
        manifest,
        recovered.end_lsn,
        recovered.footer,
        0,
    )
    return recovered


def _refused(log: SmallLog, **proofs: int) -> Corruption:
    """Recover, and check that it refuses and touches nothing."""
    before = contents(log.directory)
    with pytest.raises(Corruption) as caught:
        recover(log.directory, **proofs)
    assert contents(log.directory) == before
    return caught.value


def _readable(log: SmallLog, recovered: Recovered) -> list[tuple[int, int, bytes]]:
    return facts(read_all(log.directory, recovered.end_lsn))


def test_a_killed_log_keeps_every_record_and_is_sealed() -> None:
    log = three_segments(MemoryDirectory())
    recovered = _recovered(log)
    assert _readable(log, recovered) == log.records
    assert recovered.end_lsn == log.end_lsn
    assert len(recovered.manifest.sealed) == 3
    assert (recovered.cut_bytes, recovered.quarantined, recovered.leftovers) == (0, (), ())


def test_a_log_that_never_had_a_segment_recovers_to_nothing() -> None:
    log = _fresh()
    recovered = _recovered(log)
    assert (recovered.end_lsn, recovered.footer, recovered.manifest.sealed) == (4096, None, ())


def test_a_directory_without_a_log_is_not_found() -> None:
    with pytest.raises(NotFound):
        recover(MemoryDirectory())


def test_segments_without_a_manifest_are_corruption() -> None:
    log = three_segments(MemoryDirectory())
    log.directory.unlink("MANIFEST")
    assert "manifest is missing" in str(_refused(log))


def test_proofs_that_are_no_positions_are_refused() -> None:
    with pytest.raises(InvalidLSN, match="written_lsn"):
        recover(_fresh().directory, written_lsn=4097)


# After a clean shutdown.


def _clean(log: SmallLog) -> SmallLog:
    log.seal()
    log.save(clean=True)
    return log


def test_a_clean_log_is_taken_as_it_is() -> None:
    log = _clean(three_segments(MemoryDirectory()))
    recovered = _recovered(log)
    assert recovered.end_lsn == log.end_lsn
    assert recovered.footer == log.footer
    assert _readable(log, recovered) == log.records


@pytest.mark.parametrize("count", [3, 60])
def test_opening_a_clean_log_does_the_same_calls_however_long_it_is(count: int) -> None:
    log = _fresh()
    for _ in range(count):
        log.begin()
        log.put(b"x")
        log.seal()
    log.save(clean=True)
    assert isinstance(log.directory, MemoryDirectory)
    calls: list[str] = []
    log.directory.fault = calls.append
    recover(log.directory)
    assert calls.count("sizes") == 1
    assert calls.count("open_read") == 3  # The manifest, and the newest header and footer.
    assert len(calls) == 14


def test_a_prepared_segment_is_no_part_of_the_log() -> None:
    log = _clean(three_segments(MemoryDirectory()))
    log.directory.close_file(log.directory.create("next.tmp"))
    assert _recovered(log).end_lsn == log.end_lsn


def test_a_segment_that_a_clean_manifest_does_not_name_is_corruption() -> None:
    log = _clean(three_segments(MemoryDirectory()))
    log.begin(named=False)
    assert _refused(log).segment == log.active


def test_a_clean_log_that_ends_below_what_the_region_says_is_corruption() -> None:
    log = _clean(three_segments(MemoryDirectory()))
    error = _refused(log, written_lsn=log.end_lsn + 8)
    assert error.lsn == log.end_lsn


# Where the crash was during a rotation.


def test_a_new_segment_that_no_manifest_names_yet_is_found() -> None:
    log = three_segments(MemoryDirectory())
    log.begin(named=False)
    log.put(b"seven")
    recovered = _recovered(log)
    assert _readable(log, recovered) == log.records
    assert len(recovered.manifest.sealed) == 4


def test_several_segments_that_no_manifest_names_yet_are_found_in_their_chain() -> None:
    log = three_segments(MemoryDirectory())
    for number in range(3):
        log.begin(named=False)
        log.put(b"more %d" % number)
    recovered = _recovered(log)
    assert _readable(log, recovered) == log.records
    assert len(recovered.manifest.sealed) == 6


def test_a_segment_sealed_but_not_yet_named_so_stays_byte_for_byte() -> None:
    log = three_segments(MemoryDirectory())
    log.seal(named=False)
    name, sealed = log.active, content(log.directory, log.active)
    log.begin(named=False)
    log.put(b"seven")
    _recovered(log)
    assert content(log.directory, name) == sealed


@pytest.mark.parametrize("kept", [0, 1, 50, 10_000])
def test_a_half_written_footer_is_written_again_and_nothing_is_put_aside(kept: int) -> None:
    log = three_segments(MemoryDirectory())
    plain = content(log.directory, log.active)
    log.seal(named=False)
    whole = content(log.directory, log.active)
    frames_end = 4096 + log.end_lsn - 4336
    half = whole[: frames_end + kept]
    cut(log.directory, log.active, 0)
    change(log.directory, log.active, 0, half + plain[len(half) :])
    recovered = _recovered(log)
    assert recovered.quarantined == ()
    assert content(log.directory, log.active) == whole


def test_an_empty_last_segment_is_removed_so_that_its_name_is_free() -> None:
    log = three_segments(MemoryDirectory())
    log.begin()
    empty = log.active
    recovered = _recovered(log)
    assert not log.directory.exists(empty)
    assert recovered.end_lsn == log.end_lsn
    assert len(recovered.manifest.sealed) == 3


def test_a_first_segment_that_is_empty_is_removed() -> None:
    log = _fresh()
    log.begin()
    recovered = _recovered(log)
    assert list(contents(log.directory)) == ["MANIFEST"]
    assert (recovered.end_lsn, recovered.footer) == (4096, None)


def test_an_unsealed_segment_must_reach_the_one_that_follows_it() -> None:
    log = three_segments(MemoryDirectory())
    old, old_end = log.active, log.end_lsn
    log.begin()
    log.sync()
    log.put(b"seven")
    flip(log.directory, old, 4096 + old_end - 4336 - 20, 0)
    error = _refused(log)
    assert (error.segment, error.lsn) == (old, log.records[5][0])


def test_a_gap_between_epochs_is_no_missing_segment() -> None:
    log = three_segments(MemoryDirectory())
    log.seal()
    end_lsn = log.end_lsn
    log.end_lsn += 800
    log.begin()
    assert log.header is not None
    header = replace(log.header, previous_end_lsn=end_lsn)
    change(log.directory, log.active, 0, header.encode())
    log.sync()
    log.put(b"seven")
    recovered = _recovered(log)
    assert _readable(log, recovered) == log.records
    assert recovered.end_lsn == log.end_lsn


def test_the_epoch_is_the_greatest_that_any_segment_has() -> None:
    log = three_segments(MemoryDirectory())
    log.seal()
    epoch = log.manifest.epoch
    log.save(epoch=epoch + 1)
    log.begin()
    log.put(b"x")
    log.save(epoch=epoch)
    assert _recovered(log).manifest.epoch == epoch + 1


# Torn tails.


def test_a_torn_frame_is_cut_and_a_copy_is_kept() -> None:
    log = three_segments(MemoryDirectory())
    lsn, _, payload = log.records[-1]
    offset = 4096 + lsn - 4336
    torn = bytearray(content(log.directory, log.active)[offset:].rstrip(b"\0"))
    torn[40:60] = bytes(20)
    change(log.directory, log.active, offset, bytes(torn))
    recovered = _recovered(log)
    assert _readable(log, recovered) == log.records[:-1]
    assert recovered.end_lsn == lsn
    name = f"quarantine/{4336:020d}-{lsn:020d}-1.bytes"
    assert recovered.quarantined == (name,)
    assert content(log.directory, name) == bytes(torn)
    assert recovered.cut_bytes == len(torn) == 32 + len(payload)


def test_a_copy_that_is_there_already_is_never_overwritten() -> None:
    log = three_segments(MemoryDirectory())
    lsn = log.records[-1][0]
    name = f"quarantine/{4336:020d}-{lsn:020d}-1.bytes"
    log.directory.make_directory("quarantine")
    log.directory.close_file(log.directory.create(name))
    change(log.directory, name, 0, b"other")
    flip(log.directory, log.active, 4096 + lsn - 4336, 0)
    recovered = _recovered(log)
    second = name.replace(".bytes", ".2.bytes")
    assert recovered.quarantined == (second,)
    assert content(log.directory, name) == b"other"


def test_garbage_behind_the_last_frame_is_cut_and_nothing_else() -> None:
    log = three_segments(MemoryDirectory())
    change(log.directory, log.active, 6000, b"stale sector")
    recovered = _recovered(log)
    assert _readable(log, recovered) == log.records
    assert recovered.cut_bytes == 6012 - (4096 + log.end_lsn - 4336)
    assert content(log.directory, recovered.quarantined[0]).endswith(b"stale sector")


def test_a_valid_frame_behind_a_torn_one_is_cut_too() -> None:
    log = three_segments(MemoryDirectory())
    log.put(b"seven")
    flip(log.directory, log.active, 4096 + log.records[-2][0] - 4336 + 40, 0)
    recovered = _recovered(log)
    assert _readable(log, recovered) == log.records[:-2]
    assert b"seven" in content(log.directory, recovered.quarantined[0])


def test_segments_behind_a_torn_one_are_put_aside_whole() -> None:
    log = three_segments(MemoryDirectory())
    torn, torn_lsn = log.active, log.records[-1][0]
    log.begin(named=False)
    log.put(b"seven")
    log.begin(named=False)
    log.put(b"eight")
    flip(log.directory, torn, 4096 + torn_lsn - 4336, 0)
    recovered = _recovered(log)
    assert _readable(log, recovered) == log.records[:5]
    assert len(recovered.quarantined) == 3
    assert b"eight" in content(log.directory, recovered.quarantined[0])
    assert b"seven" in content(log.directory, recovered.quarantined[1])
    assert content(log.directory, recovered.quarantined[1]).startswith(b"LOGSTSEG")


def test_a_segment_whose_name_a_power_loss_took_ends_the_log() -> None:
    log = three_segments(MemoryDirectory())
    log.begin(named=False)
    log.put(b"seven")
    lost = log.active
    log.begin(named=False)
    log.put(b"eight")
    log.directory.unlink(lost)
    recovered = _recovered(log)
    assert _readable(log, recovered) == log.records[:6]
    assert len(recovered.quarantined) == 1


def test_the_same_with_a_proof_behind_it_is_corruption() -> None:
    log = three_segments(MemoryDirectory())
    log.begin(named=False)
    log.put(b"seven")
    lost = log.active
    log.begin(named=False)
    log.sync()
    log.put(b"eight")
    log.directory.unlink(lost)
    error = _refused(log)
    assert error.lsn == log.records[6][0]


def test_a_segment_that_is_torn_from_its_start_is_removed_with_a_copy() -> None:
    log = three_segments(MemoryDirectory())
    log.begin(named=False)
    lsn = log.put(b"seven")
    flip(log.directory, log.active, 4096, 0)
    recovered = _recovered(log)
    assert not log.directory.exists(log.active)
    assert recovered.end_lsn == lsn
    assert b"seven" in content(log.directory, recovered.quarantined[0])


def test_a_batch_without_its_end_is_dropped_as_a_whole() -> None:
    log = three_segments(MemoryDirectory())
    batch_lsn = log.end_lsn
    log.batch(b"a", b"b", b"c", whole=False)
    recovered = _recovered(log)
    assert _readable(log, recovered) == log.records[:6]
    assert recovered.end_lsn == batch_lsn
    assert recovered.cut_bytes == log.end_lsn - batch_lsn


def test_a_whole_batch_stays_and_a_torn_one_goes_from_its_first_frame() -> None:
    log = three_segments(MemoryDirectory())
    log.batch(b"a", b"b")
    batch_lsn = log.end_lsn
    log.batch(b"c", b"d", b"e")
    flip(log.directory, log.active, 4096 + log.end_lsn - 4336 - 8, 0)
    recovered = _recovered(log)
    assert _readable(log, recovered) == log.records[:8]
    assert recovered.end_lsn == batch_lsn


def test_a_batch_that_ends_in_nothing_in_the_middle_of_the_log_is_corruption() -> None:
    log = three_segments(MemoryDirectory())
    batch_lsn = log.end_lsn
    log.batch(b"a", b"b", whole=False)
    log.begin()
    log.put(b"c")
    assert _refused(log).lsn == batch_lsn


def test_groups_of_cut_records_are_forgotten_and_others_known() -> None:
    log = three_segments(MemoryDirectory())
    log.put(b"orders", kind=Kind.GROUP_NAME, group=1)
    lsn = log.put(b"kept", group=1)
    log.put(b"cut", group=1)
    flip(log.directory, log.active, 4096 + log.end_lsn - 4336 - 8, 0)
    footer = _recovered(log).footer
    assert footer is not None
    assert footer.groups[1] == GroupRange(1, "orders", 1, 1, 1, Points([(1, lsn)]))


# Corruption.


def test_a_bad_frame_below_the_proof_of_a_later_one_is_corruption() -> None:
    log = three_segments(MemoryDirectory())
    log.sync()
    log.put(b"seven")
    bad_lsn = log.records[-2][0]
    flip(log.directory, log.active, 4096 + bad_lsn - 4336 + 33, 3)
    error = _refused(log)
    assert (error.segment, error.offset, error.lsn) == (
        log.active,
        4096 + bad_lsn - 4336,
        bad_lsn,
    )


@pytest.mark.parametrize("proof", ["synced_lsn", "written_lsn"])
def test_a_bad_frame_below_what_the_region_says_is_corruption(proof: str) -> None:
    log = three_segments(MemoryDirectory())
    bad_lsn = log.records[-1][0]
    flip(log.directory, log.active, 4096 + bad_lsn - 4336 + 33, 3)
    assert _refused(log, **{proof: log.end_lsn}).lsn == bad_lsn
    assert _recovered(log, **{proof: bad_lsn}).end_lsn == bad_lsn


def test_a_log_that_ends_below_what_the_region_says_is_corruption() -> None:
    log = three_segments(MemoryDirectory())
    assert _refused(log, written_lsn=log.end_lsn + 8).lsn == log.end_lsn


def test_a_valid_footer_proves_the_frames_before_it() -> None:
    log = three_segments(MemoryDirectory())
    log.seal(named=False)
    bad_lsn = log.records[-1][0]
    flip(log.directory, log.active, 4096 + bad_lsn - 4336 + 33, 3)
    assert _refused(log).lsn == bad_lsn


def test_a_proof_in_a_segment_behind_a_lost_one_counts() -> None:
    log = three_segments(MemoryDirectory())
    torn, bad_lsn = log.active, log.records[-1][0]
    log.begin(named=False)
    log.sync()
    log.put(b"seven")
    flip(log.directory, torn, 4096 + bad_lsn - 4336 + 33, 3)
    assert _refused(log).lsn == bad_lsn


Damage = Callable[[MemoryDirectory, list[str]], None]


def _twice(directory: MemoryDirectory, names: list[str]) -> None:
    directory.files[names[1]] = bytearray(directory.files[names[0]])


def _swap(directory: MemoryDirectory, names: list[str]) -> None:
    files = directory.files
    files[names[0]], files[names[1]] = files[names[1]], files[names[0]]


def _within_another(directory: MemoryDirectory, names: list[str]) -> None:
    header = SegmentHeader(uuid=UUID, epoch=1, salt=1, base_lsn=4104)
    directory.files[segment_name(4104)] = bytearray(header.encode())


def _foreign(directory: MemoryDirectory, names: list[str]) -> None:
    header = SegmentHeader(uuid=bytes(16), epoch=1, salt=1, base_lsn=4560)
    directory.files[segment_name(4560)] = bytearray(header.encode())


def _foreign_newest(directory: MemoryDirectory, names: list[str]) -> None:
    header = SegmentHeader.decode(bytes(directory.files[names[1]]))
    directory.files[names[1]][:4096] = replace(header, uuid=bytes(16)).encode()


def _other_header(directory: MemoryDirectory, names: list[str]) -> None:
    header = SegmentHeader.decode(bytes(directory.files[names[1]]))
    directory.files[names[1]][:4096] = replace(header, created_ns=1).encode()


@pytest.mark.parametrize(
    ("damage", "index"),
    [
        pytest.param(lambda d, n: d.unlink(n[0]), 0, id="the oldest is missing"),
        pytest.param(lambda d, n: d.unlink(n[1]), 1, id="the newest sealed one is missing"),
        pytest.param(lambda d, n: d.unlink(n[2]), 2, id="the active one is missing"),
        pytest.param(lambda d, n: d.rename(n[0], segment_name(8)), 0, id="one is renamed"),
        pytest.param(lambda d, n: d.rename(n[0], "a.seg"), None, id="one has a strange name"),
        pytest.param(_twice, 1, id="one is there twice"),
        pytest.param(_swap, 0, id="two are swapped"),
        pytest.param(_within_another, None, id="one begins within another"),
        pytest.param(_foreign, None, id="one of another log is added"),
        pytest.param(_foreign_newest, 1, id="the newest is of another log"),
        pytest.param(_other_header, 1, id="the newest has another header"),
        pytest.param(lambda d, n: cut(d, n[0], 4300), 0, id="the oldest is cut"),
        pytest.param(lambda d, n: cut(d, n[1], 4300), 1, id="the newest is cut"),
        pytest.param(lambda d, n: cut(d, n[2], 4000), 2, id="the active one has no header"),
        pytest.param(lambda d, n: flip(d, n[2], 41, 0), 2, id="the active one's header is bad"),
        pytest.param(lambda d, n: flip(d, n[1], len(d.files[n[1]]) - 80, 0), 1, id="bad footer"),
        pytest.param(lambda d, n: flip(d, "MANIFEST", 30, 0), None, id="the manifest is bad"),
    ],
)
def test_a_directory_that_is_not_what_the_manifest_says_is_corruption(
    damage: Damage, index: int | None
) -> None:
    log = three_segments(MemoryDirectory())
    assert isinstance(log.directory, MemoryDirectory)
    names = sorted(name for name in log.directory.names() if name.endswith(".seg"))
    damage(log.directory, names)
    error = _refused(log)
    if index is not None:
        assert error.segment == names[index]


def test_an_older_copy_of_a_segment_is_corruption_when_others_prove_more() -> None:
    log = three_segments(MemoryDirectory())
    old = content(log.directory, log.active)
    log.put(b"seven")
    name = log.active
    log.begin()
    log.sync()
    log.put(b"eight")
    change(log.directory, name, 0, old)
    assert _refused(log).segment == name


def test_what_compaction_had_no_time_to_remove_is_left_and_named() -> None:
    log = three_segments(MemoryDirectory())
    first = log.manifest.sealed[0]
    log.save(sealed=log.manifest.sealed[1:], start_lsn=first.end_lsn)
    recovered = _recovered(log)
    assert recovered.leftovers == (segment_name(first.base_lsn),)
    assert log.directory.exists(recovered.leftovers[0])


def test_a_segment_of_a_newer_version_is_incompatible() -> None:
    log = three_segments(MemoryDirectory())
    assert log.header is not None
    newer = replace(log.header, read_only_compatible=1)
    change(log.directory, log.active, 0, newer.encode())
    before = contents(log.directory)
    with pytest.raises(IncompatibleFormat):
        recover(log.directory)
    assert contents(log.directory) == before


def test_an_unknown_frame_in_the_tail_is_incompatible_and_nothing_is_touched() -> None:
    log = three_segments(MemoryDirectory())
    lsn = log.put(b"", kind=50)
    before = contents(log.directory)
    with pytest.raises(IncompatibleFormat) as caught:
        recover(log.directory)
    assert caught.value.lsn == lsn
    assert contents(log.directory) == before


# Bytes that a failed sync may have left only in memory.


class _Writes(MemoryDirectory):
    """Note where segments are written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[tuple[int, int]] = []

    def write(self, fd: int, buffer: bytes, offset: int) -> None:  # type: ignore[override]
        super().write(fd, buffer, offset)
        self.written.append((offset, offset + len(buffer)))


@pytest.mark.parametrize("synced_by", ["frame", "region"])
def test_frames_that_are_not_known_to_be_durable_are_written_again(synced_by: str) -> None:
    directory = _Writes()
    log = three_segments(directory)
    synced_lsn = log.end_lsn
    if synced_by == "frame":
        log.sync()
    log.put(b"seven")
    log.put(b"eight")
    directory.written.clear()
    recover(directory, synced_lsn=synced_lsn if synced_by == "region" else 0)
    assert (4096 + synced_lsn - 4336, 4096 + log.end_lsn - 4336) in directory.written
    assert min(offset for offset, _ in directory.written if offset) == 4096 + synced_lsn - 4336


def test_it_does_the_same_on_a_real_disk(tmp_path: Path) -> None:
    logs = []
    for directory in (Directory.open(tmp_path / "log", create=True), MemoryDirectory()):
        log = three_segments(directory)
        log.put(b"torn")
        flip(log.directory, log.active, 4096 + log.records[-1][0] - 4336, 0)
        log.begin(named=False)
        log.put(b"behind")
        change(log.directory, log.active, 7000, b"stale")
        recovered = _recovered(log)
        assert _readable(log, recovered) == log.records[:6]
        logs.append({n: d for n, d in contents(directory).items() if n != "next.tmp"})
    assert logs[0] == logs[1]
    copies = list((tmp_path / "log" / "quarantine").iterdir())
    assert {copy.stat().st_mode & 0o777 for copy in copies} == {0o600}
