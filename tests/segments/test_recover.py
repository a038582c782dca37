"""Recovery of whole directories: what is kept after a crash anywhere, and after none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from logstore.errors import InvalidLSN, NotFound
from logstore.files import Directory
from logstore.segments.recover import recover
from tests.memory_directory import MemoryDirectory
from tests.segments.recovering import empty_log, readable, recovered_twice, refused
from tests.segments.small_log import (
    SmallLog,
    change,
    content,
    contents,
    cut,
    flip,
    three_segments,
)


def test_a_killed_log_keeps_every_record_and_is_sealed() -> None:
    log = three_segments(MemoryDirectory())
    recovered = recovered_twice(log)
    assert readable(log, recovered) == log.records
    assert recovered.end_lsn == log.end_lsn
    assert len(recovered.manifest.sealed) == 3
    assert (recovered.cut_bytes, recovered.quarantined, recovered.leftovers) == (0, (), ())


def test_a_log_that_never_had_a_segment_recovers_to_nothing() -> None:
    log = empty_log()
    recovered = recovered_twice(log)
    assert (recovered.end_lsn, recovered.footer, recovered.manifest.sealed) == (4096, None, ())


def test_a_directory_without_a_log_is_not_found() -> None:
    with pytest.raises(NotFound):
        recover(MemoryDirectory())


def test_segments_without_a_manifest_are_corruption() -> None:
    log = three_segments(MemoryDirectory())
    log.directory.unlink("MANIFEST")
    assert "manifest is missing" in str(refused(log))


def test_proofs_that_are_no_positions_arerefused() -> None:
    with pytest.raises(InvalidLSN, match="written_lsn"):
        recover(empty_log().directory, written_lsn=4097)


# After a clean shutdown.


def _clean(log: SmallLog) -> SmallLog:
    log.seal()
    log.save(clean=True)
    return log


def test_a_clean_log_is_taken_as_it_is() -> None:
    log = _clean(three_segments(MemoryDirectory()))
    recovered = recovered_twice(log)
    assert recovered.end_lsn == log.end_lsn
    assert recovered.footer == log.footer
    assert readable(log, recovered) == log.records


@pytest.mark.parametrize("count", [3, 60])
def test_opening_a_clean_log_does_the_same_calls_however_long_it_is(count: int) -> None:
    log = empty_log()
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
    assert calls.count("open_read") == 4  # REPAIRS, MANIFEST, the newest header and footer.
    assert len(calls) == 16


def test_a_prepared_segment_is_no_part_of_the_log() -> None:
    log = _clean(three_segments(MemoryDirectory()))
    log.directory.close_file(log.directory.create("next.tmp"))
    assert recovered_twice(log).end_lsn == log.end_lsn


def test_a_segment_that_a_clean_manifest_does_not_name_is_corruption() -> None:
    log = _clean(three_segments(MemoryDirectory()))
    log.begin(named=False)
    assert refused(log).segment == log.active


def test_a_clean_log_that_ends_below_what_the_region_says_is_corruption() -> None:
    log = _clean(three_segments(MemoryDirectory()))
    error = refused(log, written_lsn=log.end_lsn + 8)
    assert error.lsn == log.end_lsn


# Where the crash was during a rotation.


def test_a_new_segment_that_no_manifest_names_yet_is_found() -> None:
    log = three_segments(MemoryDirectory())
    log.begin(named=False)
    log.put(b"seven")
    recovered = recovered_twice(log)
    assert readable(log, recovered) == log.records
    assert len(recovered.manifest.sealed) == 4


def test_several_segments_that_no_manifest_names_yet_are_found_in_their_chain() -> None:
    log = three_segments(MemoryDirectory())
    for number in range(3):
        log.begin(named=False)
        log.put(b"more %d" % number)
    recovered = recovered_twice(log)
    assert readable(log, recovered) == log.records
    assert len(recovered.manifest.sealed) == 6


def test_a_segment_sealed_but_not_yet_named_so_stays_byte_for_byte() -> None:
    log = three_segments(MemoryDirectory())
    log.seal(named=False)
    name, sealed = log.active, content(log.directory, log.active)
    log.begin(named=False)
    log.put(b"seven")
    recovered_twice(log)
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
    recovered = recovered_twice(log)
    assert recovered.quarantined == ()
    assert content(log.directory, log.active) == whole


def test_an_empty_last_segment_is_removed_so_that_its_name_is_free() -> None:
    log = three_segments(MemoryDirectory())
    log.begin()
    empty = log.active
    recovered = recovered_twice(log)
    assert not log.directory.exists(empty)
    assert recovered.end_lsn == log.end_lsn
    assert len(recovered.manifest.sealed) == 3


def test_a_first_segment_that_is_empty_is_removed() -> None:
    log = empty_log()
    log.begin()
    recovered = recovered_twice(log)
    assert list(contents(log.directory)) == ["MANIFEST"]
    assert (recovered.end_lsn, recovered.footer) == (4096, None)


def test_an_unsealed_segment_must_reach_the_one_that_follows_it() -> None:
    log = three_segments(MemoryDirectory())
    old, old_end = log.active, log.end_lsn
    log.begin()
    log.sync()
    log.put(b"seven")
    flip(log.directory, old, 4096 + old_end - 4336 - 20, 0)
    error = refused(log)
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
    recovered = recovered_twice(log)
    assert readable(log, recovered) == log.records
    assert recovered.end_lsn == log.end_lsn


def test_the_epoch_is_the_greatest_that_any_segment_has() -> None:
    log = three_segments(MemoryDirectory())
    log.seal()
    epoch = log.manifest.epoch
    log.save(epoch=epoch + 1)
    log.begin()
    log.put(b"x")
    log.save(epoch=epoch)
    assert recovered_twice(log).manifest.epoch == epoch + 1


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
    recover(directory, synced_lsn=synced_lsn if synced_by == "region" else 0, trusted=True)
    assert (4096 + synced_lsn - 4336, 4096 + log.end_lsn - 4336) in directory.written
    assert min(offset for offset, _ in directory.written if offset) == 4096 + synced_lsn - 4336


@pytest.mark.parametrize("trusted", [False, True])
def test_frames_go_to_a_new_file_unless_the_old_one_is_trusted(trusted: bool) -> None:
    directory = MemoryDirectory()
    log = three_segments(directory)
    log.sync()  # All is durable; what has failed may be the sync of the footer.
    old = directory.files[log.active]
    frames = old[: 4096 + log.end_lsn - 4336]
    assert recovered_twice(log, trusted=trusted).end_lsn == log.end_lsn
    new = directory.files[log.active]
    assert (new is old) == trusted
    assert new[: len(frames)] == frames


def test_it_does_the_same_on_a_real_disk(tmp_path: Path) -> None:
    logs = []
    for directory in (Directory.open(tmp_path / "log", create=True), MemoryDirectory()):
        log = three_segments(directory)
        log.put(b"torn")
        flip(log.directory, log.active, 4096 + log.records[-1][0] - 4336, 0)
        log.begin(named=False)
        log.put(b"behind")
        change(log.directory, log.active, 7000, b"stale")
        recovered = recovered_twice(log)
        assert readable(log, recovered) == log.records[:6]
        logs.append({n: d for n, d in contents(directory).items() if n != "next.tmp"})
    assert logs[0] == logs[1]
    copies = list((tmp_path / "log" / "quarantine").iterdir())
    assert {copy.stat().st_mode & 0o777 for copy in copies} == {0o600}
