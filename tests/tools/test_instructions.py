"""No path takes more instructions than it did: counted by callgrind, so true on a busy machine too.

The bounds lie 15 % above what was counted on x86-64 with GCC 12 (in brackets). A change that
needs more may raise one, and says why.
"""

from __future__ import annotations

import os

import pytest

from tools.instructions import count_c, count_python, missing

_LACK = missing()
_ELSEWHERE = "the bounds are those of x86-64" if os.uname().machine != "x86_64" else None

_CHECKED = "a sanitizer takes instructions of its own" if os.environ.get("LD_PRELOAD") else None
_WHY_NOT = _LACK or _ELSEWHERE or _CHECKED

pytestmark = pytest.mark.skipif(bool(_WHY_NOT), reason=str(_WHY_NOT))

C_BOUNDS = {
    64: {
        "path_append": 380,  # [332]
        "path_append_many": 170,  # [146]
        "path_drain": 175,  # [152]
        "path_check": 135,  # [119]
        "path_wait": 23,  # [20]
    },
    1024: {
        "path_append": 890,  # [772]
        "path_append_many": 675,  # [587]
        "path_drain": 555,  # [481]
        "path_check": 515,  # [447]
        "path_wait": 23,  # [20]
    },
}
PYTHON_BOUNDS = {  # CPython 3.11
    "ring_append": 695,  # [603]
    "ring_append_many": 555,  # [484]
    "scan": 480,  # [418]
    "delivery_next": 50,  # [45]
    "frame_at": 1090,  # [947]
    "find": 3240,  # [2817], 32 frames further on
    "files_load": 760,  # [662]
    "files_load_seq": 2755,  # [2395], 32 frames further on
}


def above(counts: dict[str, float], bounds: dict[str, int]) -> list[str]:
    """Name every path that took more than its bound, or that was not counted at all."""
    return [
        f"{path}: {counts.get(path, 0):.0f} of {bound}"
        for path, bound in bounds.items()
        if not 0 < counts.get(path, 0) <= bound
    ]


@pytest.mark.parametrize("size", sorted(C_BOUNDS))
def test_the_rings_paths_take_no_more_than_their_bound(size: int) -> None:
    assert above(count_c(size), C_BOUNDS[size]) == []


@pytest.mark.slow
def test_the_calls_from_python_take_no_more_than_their_bound() -> None:
    assert above(count_python(), PYTHON_BOUNDS) == []
