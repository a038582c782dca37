"""The independent verifier: what it accepts, and the damage it must not overlook."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from logstore.files import Directory
from logstore.format import Kind, encode_frame
from tests.segments.small_log import SALT, SmallLog, change
from tools.verify_directory import Verifier, main

ROOT = Path(__file__).resolve().parents[2]


def make(path: Path) -> SmallLog:
    """Make a log with what frames there are: batches, marks, an aborted one, a named group."""
    log = SmallLog(Directory.open(path, create=True))
    log.begin()
    log.put(b"orders", kind=Kind.GROUP_NAME, group=1)
    for number in range(70):
        log.put(b"record %d" % number, group=number % 2)
    log.mark(1_700_000_000_000_000_001)
    log.seal()
    log.begin()
    log.batch(b"one", b"", b"three" * 40)
    log.seal()
    log.begin()
    log.put(b"first of the open segment")
    log.sync()
    log.put(b"second")
    log.put(b"third" * 30)
    return log


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    make(tmp_path / "log")
    return tmp_path / "log"


def findings(path: Path) -> list[str]:
    verifier = Verifier(path)
    verifier.run()
    return verifier.log.findings


def segments(path: Path) -> list[Path]:
    return sorted(path.glob("*.seg"))


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def test_a_sound_log_has_no_findings(sound: Path) -> None:
    assert findings(sound) == []


def test_an_empty_log_has_no_findings(tmp_path: Path) -> None:
    SmallLog(Directory.open(tmp_path, create=True))
    assert findings(tmp_path) == []


def test_a_flipped_bit_anywhere_in_a_sealed_segment_is_found(sound: Path) -> None:
    segment = segments(sound)[1]
    whole = segment.read_bytes()
    for offset in [*range(0, 100, 3), *range(4090, len(whole), 3)]:
        flip(segment, offset)
        assert findings(sound), f"byte {offset} of {len(whole)}"
        segment.write_bytes(whole)


def test_a_flipped_bit_anywhere_in_the_manifest_is_found(sound: Path) -> None:
    whole = (sound / "MANIFEST").read_bytes()
    for offset in range(0, len(whole), 5):
        flip(sound / "MANIFEST", offset)
        assert findings(sound), f"byte {offset} of {len(whole)}"
        (sound / "MANIFEST").write_bytes(whole)


def lose_a_segment(path: Path) -> None:
    segments(path)[1].unlink()


def lose_the_active_segment(path: Path) -> None:
    segments(path)[-1].unlink()


def swap_two_segments(path: Path) -> None:
    first, second = segments(path)[:2]
    first.rename(path / "aside")
    second.rename(first)
    (path / "aside").rename(second)


def double_a_segment(path: Path) -> None:
    shutil.copy(segments(path)[1], path / f"{9000:020d}.seg")


def put_back_an_unsealed_segment(path: Path) -> None:
    segment = segments(path)[1]
    data = segment.read_bytes()
    segment.write_bytes(data[: data.index(b"LSFOOTER")])


def damage_what_was_durable(path: Path) -> None:
    flip(segments(path)[-1], 4096 + 40)


@pytest.mark.parametrize(
    "damage",
    [
        lose_a_segment,
        lose_the_active_segment,
        swap_two_segments,
        double_a_segment,
        put_back_an_unsealed_segment,
        damage_what_was_durable,
    ],
)
def test_damage_to_the_directory_is_found(sound: Path, damage: Callable[[Path], None]) -> None:
    damage(sound)
    assert findings(sound)


def test_a_torn_tail_above_every_proof_is_told_and_is_no_damage(sound: Path) -> None:
    active = segments(sound)[-1]
    flip(active, len(active.read_bytes().rstrip(b"\0")) - 1)
    verifier = Verifier(sound)
    verifier.run()
    assert verifier.log.findings == []
    assert verifier.segments[-1].torn_bytes > 0


def test_the_end_of_a_batch_missing_at_the_tail_is_torn(tmp_path: Path) -> None:
    log = SmallLog(Directory.open(tmp_path, create=True))
    log.begin()
    log.put(b"before")
    log.batch(b"one", b"two", whole=False)
    verifier = Verifier(tmp_path)
    verifier.run()
    assert verifier.log.findings == []
    assert verifier.segments[-1].torn_bytes > 0


@pytest.mark.parametrize(("after_abort", "is_damage"), [(False, True), (True, False)])
def test_a_gap_in_a_groups_seq_needs_an_aborted_frame_before_it(
    tmp_path: Path, after_abort: bool, is_damage: bool
) -> None:
    log = SmallLog(Directory.open(tmp_path, create=True))
    log.begin()
    log.put(b"one")
    if after_abort:
        # An abandoned batch of three: it took three numbers, and shows the first.
        frame = encode_frame(bytes(24), lsn=log.end_lsn, seq=2, kind=Kind.ABORT, salt=SALT)
        change(log.directory, log.active, log.end_lsn, frame)
        log.end_lsn += len(frame)
    log.seq[0] = 4
    log.put(b"five")
    assert bool(findings(tmp_path)) == is_damage


def test_claims_of_durability_never_shrink(tmp_path: Path) -> None:
    log = SmallLog(Directory.open(tmp_path, create=True))
    log.begin()
    log.put(b"one")
    log.sync()
    log.put(b"two")
    log.put(b"three", proof_lsn=4096)
    assert findings(tmp_path)


def test_the_command_says_it_in_its_exit_code(
    sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(sound)]) == 0
    assert main([str(sound / "nothing")]) == 3
    segments(sound)[0].unlink()
    capsys.readouterr()
    assert main([str(sound), "--json"]) == 4
    report = json.loads(capsys.readouterr().out)
    assert report["findings"]
    assert len(report["segments"]) == 2


def test_it_runs_without_logstore(sound: Path) -> None:
    blocked = (
        "import sys; sys.modules['logstore'] = None; from tools.verify_directory import main; "
    )
    command = [sys.executable, "-c", blocked + "sys.exit(main(sys.argv[1:]))", str(sound)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
