"""What recovery decides, as two tables: facts in, verdict out. Pure, and total.

The first table is asked once, when a service starts and finds what its predecessor left in
shared memory. The second is asked about the place where a log's frames end.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Region(Enum):
    """What is found under the region's name."""

    NONE = "none"
    OTHER_BOOT = "of another boot"
    OTHER_UUID = "of another log"
    OTHER_LAYOUT = "of this boot, in the layout of another version"
    OURS = "of this boot and this log"
    OURS_FAILED = "of this boot and this log, which has failed"


class StartVerdict(Enum):
    """What a starting service does first.

    Whoever acts on it holds the supervisor's lock, so no other service is starting.
    """

    RECOVER_FILES = "recover the files"
    DISCARD_REGION_AND_RECOVER = "set the region aside, then recover the files"
    ADOPT = "go on with the region and the processes attached to it"
    SALVAGE = "write what the ring still holds, then recover the files"
    REFUSE = "leave everything alone: another version's processes are at work"


@dataclass(frozen=True, slots=True)
class StartFacts:
    """What a starting service knows.

    Attributes:
        region: What is in shared memory.
        lock_held: Whether any process holds a lock of this log, the asking one apart.
        clean: Whether the manifest says that nothing is left to recover.
    """

    region: Region
    lock_held: bool
    clean: bool


_ANY: Final = (False, True)

_START_ROWS: Final = (
    # region, lock held, clean, verdict
    ((Region.NONE,), _ANY, _ANY, StartVerdict.RECOVER_FILES),
    ((Region.OTHER_BOOT,), _ANY, _ANY, StartVerdict.DISCARD_REGION_AND_RECOVER),
    ((Region.OTHER_UUID,), _ANY, _ANY, StartVerdict.DISCARD_REGION_AND_RECOVER),
    ((Region.OTHER_LAYOUT,), (True,), _ANY, StartVerdict.REFUSE),
    ((Region.OTHER_LAYOUT,), (False,), _ANY, StartVerdict.DISCARD_REGION_AND_RECOVER),
    # Clean is written after the last byte of the ring is durable, and nothing is appended
    # after that: the region is empty, whoever may still be attached to it.
    ((Region.OURS, Region.OURS_FAILED), _ANY, (True,), StartVerdict.DISCARD_REGION_AND_RECOVER),
    ((Region.OURS,), (True,), (False,), StartVerdict.ADOPT),
    ((Region.OURS,), (False,), (False,), StartVerdict.SALVAGE),
    # Nothing goes on in this epoch, so whoever is still attached only keeps a mapping.
    ((Region.OURS_FAILED,), _ANY, (False,), StartVerdict.SALVAGE),
)


class Reached(Enum):
    """How far the frames reach, compared with what is known to have been durable."""

    BELOW_PROOF = "below a proof"
    PROOF_OR_ABOVE = "at or above every proof"


class Rest(Enum):
    """What follows the last whole frame."""

    NOTHING = "nothing but zeros"
    SOMETHING = "bytes that are no frame, an unfinished batch, or further segments"


class TailVerdict(Enum):
    """What the end of a log is."""

    OK = "whole"
    TORN = "torn: cut it, keep a copy, go on"
    CORRUPT = "corrupt: refuse, name the place"
    REFUSE = "not readable: refuse, touch nothing"


@dataclass(frozen=True, slots=True)
class TailFacts:
    """What is known about the end of a log.

    Attributes:
        reached: How far its frames reach.
        rest: What follows them.
        clean: Whether the manifest says that nothing is left to recover.
        read_failed: Whether any of it could not be read.
    """

    reached: Reached
    rest: Rest
    clean: bool
    read_failed: bool


_REACHED: Final = tuple(Reached)
_REST: Final = tuple(Rest)

_TAIL_ROWS: Final = (
    # reached, rest, clean, read failed, verdict
    (_REACHED, _REST, _ANY, (True,), TailVerdict.REFUSE),
    ((Reached.BELOW_PROOF,), _REST, _ANY, (False,), TailVerdict.CORRUPT),
    # No crash happened, so nothing can be torn.
    ((Reached.PROOF_OR_ABOVE,), (Rest.SOMETHING,), (True,), (False,), TailVerdict.CORRUPT),
    ((Reached.PROOF_OR_ABOVE,), (Rest.SOMETHING,), (False,), (False,), TailVerdict.TORN),
    ((Reached.PROOF_OR_ABOVE,), (Rest.NOTHING,), _ANY, (False,), TailVerdict.OK),
)


def start_verdict(facts: StartFacts) -> StartVerdict:
    """Say what a starting service does first. Exactly one row of the table applies."""
    (verdict,) = (
        verdict
        for regions, locks, cleans, verdict in _START_ROWS
        if facts.region in regions and facts.lock_held in locks and facts.clean in cleans
    )
    return verdict


def tail_verdict(facts: TailFacts) -> TailVerdict:
    """Say what the end of a log is. Exactly one row of the table applies."""
    (verdict,) = (
        verdict
        for reached, rests, cleans, reads, verdict in _TAIL_ROWS
        if facts.reached in reached
        and facts.rest in rests
        and facts.clean in cleans
        and facts.read_failed in reads
    )
    return verdict
