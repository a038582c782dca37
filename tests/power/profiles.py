"""Six ways in which disks and file systems forget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Profile:
    """Say what a power loss may leave.

    Attributes:
        name: What it is called.
        granule: Bytes that are old or new as a whole.
        ordered: Names and sizes become durable in the order in which they were changed, over all
            files, and a file has no size before it has the bytes.
        weak_names: Each change of a name may be lost alone; else the last ones are lost.
        stale: Where a file grew and its own bytes did not arrive, it shows old bytes of the disk;
            else zeros.
        garbage: The bytes of a sector that a write changes may come out as anything; those that it
            leaves as they are stay.
        sick_blocks: A block that was reserved ahead, and of which the first sync fails, stays zeros
            on the disk, however often the file is written and synced; ext4 is so.
    """

    name: str
    granule: int = 512
    ordered: bool = False
    weak_names: bool = False
    stale: bool = False
    garbage: bool = False
    sick_blocks: bool = False


PROFILES: Final = (
    Profile("ordered", ordered=True, sick_blocks=True),
    Profile("weak", weak_names=True),
    Profile("zeros", sick_blocks=True),
    Profile("stale", stale=True, weak_names=True),
    Profile("garbage", garbage=True, weak_names=True),
    Profile("tear-8", granule=8, weak_names=True),
    Profile("tear-512", weak_names=True, garbage=True, stale=True, sick_blocks=True),
    Profile("tear-4096", granule=4096, weak_names=True),
)
BY_NAME: Final = {profile.name: profile for profile in PROFILES}
