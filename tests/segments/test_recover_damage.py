"""Every flipped bit and every length of small logs: the right verdict, never a changed record."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from logstore.errors import Corruption
from logstore.format import Flag
from logstore.segments.footer import read_footer
from logstore.segments.recover import recover
from tests.memory_directory import MemoryDirectory
from tests.segments.small_log import SmallLog, content, facts, read_all


@dataclass(frozen=True)
class Frame:
    """What this test, and no code under test, knows about one frame of the last segment."""

    lsn: int
    end_lsn: int
    proof_lsn: int
    batch_lsn: int


class LastSegment:
    """A log of one sealed and one active segment, and what each frame of the active one claims."""

    def __init__(self) -> None:
        self.directory = MemoryDirectory()
        self.log = log = SmallLog(self.directory)
        log.begin()
        log.put(b"sealed")
        log.seal()
        log.begin()
        self.base_lsn = log.end_lsn
        self.frames: list[Frame] = []
        self._put(b"first")
        log.sync()
        self._put(b"proves the first")
        self._put(b"")
        batch_lsn = log.end_lsn
        self._put(b"batch", Flag.MORE_OF_BATCH, batch_lsn)
        self._put(b"its end", 0, batch_lsn)
        self._put(b"last")

    def _put(self, payload: bytes, flags: int = 0, batch_lsn: int = 0) -> None:
        lsn = self.log.put(payload, flags=flags)
        self.frames.append(
            Frame(lsn, self.log.end_lsn, self.log.synced_lsn, batch_lsn if batch_lsn else lsn)
        )

    def verdict(self, bad: Frame | None, valid: list[Frame]) -> tuple[str, int]:
        """Say what recovery must find if `bad` is the first bad frame and `valid` are sound."""
        if bad is None:
            return "cut", self.log.end_lsn
        proof_lsn = max([self.base_lsn, *(frame.proof_lsn for frame in valid)])
        return ("corrupt", bad.lsn) if bad.lsn < proof_lsn else ("cut", bad.batch_lsn)


def _outcome(directory: MemoryDirectory, log: SmallLog) -> tuple[str, int]:
    """Recover; check that what is left is a prefix of what was written."""
    try:
        recovered = recover(directory)
    except Corruption as error:
        lsn, segment = error.lsn, error.segment
    else:
        records = facts(read_all(directory, recovered.end_lsn))
        assert records == [record for record in log.records if record[0] < recovered.end_lsn]
        return "cut", recovered.end_lsn
    assert segment == log.active
    return "corrupt", -1 if lsn is None else lsn


def test_every_flipped_bit_in_the_frames_of_the_last_segment() -> None:
    made = LastSegment()
    name, seen = made.log.active, set()
    for frame in made.frames:
        expected = made.verdict(frame, [other for other in made.frames if other is not frame])
        offset = 4096 + frame.lsn - made.base_lsn
        for index in range(offset, offset + frame.end_lsn - frame.lsn):
            for bit in range(8):
                directory = made.directory.copied()
                directory.files[name][index] ^= 1 << bit
                assert _outcome(directory, made.log) == expected, (index, bit)
        seen.add(expected)
    assert {kind for kind, _ in seen} == {"cut", "corrupt"}


def test_every_flipped_bit_in_the_used_part_of_its_header_and_some_of_the_rest() -> None:
    made = LastSegment()
    for index in [*range(96), *range(96, 4092, 97), *range(4092, 4096)]:
        for bit in range(8):
            directory = made.directory.copied()
            directory.files[made.log.active][index] ^= 1 << bit
            assert _outcome(directory, made.log) == ("corrupt", -1), (index, bit)


def test_flipped_bits_in_the_zeros_behind_its_frames_are_put_aside() -> None:
    made = LastSegment()
    end = 4096 + made.log.end_lsn - made.base_lsn
    for index in [*range(end, end + 64), *range(end + 64, 8192, 37), 8191]:
        directory = made.directory.copied()
        directory.files[made.log.active][index] ^= 1 << index % 8
        assert _outcome(directory, made.log) == ("cut", made.log.end_lsn)
        (copy,) = directory.names("quarantine")
        assert len(content(directory, f"quarantine/{copy}")) == index + 1 - end


def test_every_length_of_the_last_segment() -> None:
    made = LastSegment()
    end = 4096 + made.log.end_lsn - made.base_lsn
    for length in [*range(0, 4096, 64), *range(4090, end + 64), *range(end + 64, 8192, 61)]:
        directory = made.directory.copied()
        del directory.files[made.log.active][length:]
        here = made.base_lsn + length - 4096
        valid = [frame for frame in made.frames if frame.end_lsn <= here]
        bad = made.frames[len(valid)] if len(valid) < len(made.frames) else None
        expected = ("corrupt", -1) if length < 4096 else made.verdict(bad, valid)
        assert _outcome(directory, made.log) == expected, length


def test_zeros_from_any_word_of_the_last_segment_on() -> None:
    made = LastSegment()
    end = 4096 + made.log.end_lsn - made.base_lsn
    for offset in range(4096, end, 8):
        directory = made.directory.copied()
        directory.files[made.log.active][offset:] = bytes(8192 - offset)
        here = made.base_lsn + offset - 4096
        valid = [frame for frame in made.frames if frame.end_lsn <= here]
        bad = made.frames[len(valid)]
        assert _outcome(directory, made.log) == made.verdict(bad, valid), offset


def _sealed_twice() -> SmallLog:
    """Make a log of two sealed segments, both named by the manifest."""
    log = SmallLog(MemoryDirectory())
    for payloads in ((b"one", b"two"), (b"three", b"", b"five")):
        log.begin()
        for payload in payloads:
            log.put(payload)
        log.seal()
    return log


OLDER, NEWEST = "00000000000000004096.seg", "00000000000000004176.seg"


def _reading(directory: MemoryDirectory, log: SmallLog) -> str:
    """Recover and read everything; any record that is given must be right."""
    outcome = "refused by recovery"
    try:
        recovered = recover(directory)
        outcome = "refused by reading"
        records = facts(read_all(directory, recovered.end_lsn))
    except Corruption as error:
        return f"{outcome} in {error.segment}"
    assert records == log.records
    return "all right"


@pytest.mark.parametrize("name", [OLDER, NEWEST])
def test_every_flipped_bit_of_a_sealed_segment(name: str) -> None:
    log = _sealed_twice()
    directory = log.directory
    assert isinstance(directory, MemoryDirectory)
    whole = bytes(directory.files[name])
    footer = read_footer(directory, name)
    assert footer is not None
    frames_end = 4096 + footer.end_lsn - footer.base_lsn
    for index in [*range(80), *range(80, 4096, 211), *range(4096, len(whole))]:
        for bit in range(8):
            damaged = directory.copied()
            damaged.files[name][index] ^= 1 << bit
            by = "recovery" if name == NEWEST else "reading"
            expected = f"refused by {by} in {name}"
            if 4096 <= index < frames_end:
                expected = f"refused by reading in {name}"
            elif index >= frames_end and name == OLDER:
                expected = "all right"  # Nobody needs that footer to read.
                _require_no_footer(damaged, name)
            assert _reading(damaged, log) == expected, (index, bit)


@pytest.mark.parametrize("name", [OLDER, NEWEST])
def test_every_length_of_a_sealed_segment(name: str) -> None:
    log = _sealed_twice()
    directory = log.directory
    assert isinstance(directory, MemoryDirectory)
    footer = read_footer(directory, name)
    assert footer is not None
    frames_end = 4096 + footer.end_lsn - footer.base_lsn
    for length in range(len(directory.files[name])):
        damaged = directory.copied()
        del damaged.files[name][length:]
        outcome = _reading(damaged, log)
        if name == NEWEST or length < frames_end + 72:
            assert outcome == f"refused by recovery in {name}", length
        else:
            assert outcome == "all right", length
            _require_no_footer(damaged, name)


def _require_no_footer(directory: MemoryDirectory, name: str) -> None:
    segment = name
    try:
        assert read_footer(directory, name) is None
    except Corruption as error:
        segment = str(error.segment)
    assert segment == name
