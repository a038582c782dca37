"""Zeros ahead of what is synced in small pieces: where they are, and that they hurt nobody."""

from __future__ import annotations

from tests.ring.vigil import END, ORIGIN, Vigil

FILLED = 1 << 18  # as in idling.c
MOST = FILLED // 4


def filled(vigil: Vigil) -> int:
    """Return up to which LSN the file has bytes; nothing was reserved."""
    return vigil.path.stat().st_size + ORIGIN


def write_small(vigil: Vigil, size: int = 1000) -> tuple[int, int]:
    """Write a record that somebody waits for; return its LSN and where it ends."""
    lsn = vigil.demand(size)
    vigil.write()
    return lsn, vigil.bench.load("written")


def test_a_small_piece_that_somebody_waits_for_is_followed_by_zeros(vigil: Vigil) -> None:
    lsn, end = write_small(vigil)
    assert filled(vigil) == end + FILLED
    assert vigil.in_file(lsn, end - lsn) == vigil.in_ring(lsn, end - lsn)
    assert vigil.in_file(end, FILLED) == bytes(FILLED)


def test_zeros_are_written_again_when_a_quarter_is_left_and_never_over_frames(
    vigil: Vigil,
) -> None:
    ends = [write_small(vigil)[1]]
    written = {}
    first = filled(vigil)
    while filled(vigil) == first:
        lsn, end = write_small(vigil)
        written[lsn] = vigil.in_ring(lsn, end - lsn)
        ends.append(end)
    assert first - ends[-1] <= MOST < first - ends[-2]
    assert filled(vigil) == first + FILLED
    assert {lsn: vigil.in_file(lsn, len(frame)) for lsn, frame in written.items()} == written


def test_zeros_end_with_the_segment(vigil: Vigil) -> None:
    lsn = vigil.demand()
    vigil.write(end=lsn + 5000)
    assert filled(vigil) == lsn + 5000
    assert vigil.bench.load("written") > lsn
    assert lsn + 5000 < END


def test_nothing_is_written_twice_if_nobody_waits(vigil: Vigil) -> None:
    vigil.client.ring.append(b"nobody waits")
    vigil.sleep()
    assert filled(vigil) == vigil.bench.load("written") == vigil.bench.load("head")
