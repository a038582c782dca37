"""The planted bugs, by what they break."""

from __future__ import annotations

from typing import Final

from tools.planted.bug import Bug
from tools.planted.bugs.files import FILES
from tools.planted.bugs.frames import FRAMES
from tools.planted.bugs.meaning import MEANING
from tools.planted.bugs.recovery import RECOVERY
from tools.planted.bugs.ring import RING
from tools.planted.bugs.roles import ROLES
from tools.planted.bugs.syncing import SYNCING

BUGS: Final[tuple[Bug, ...]] = (*SYNCING, *FILES, *FRAMES, *RING, *ROLES, *RECOVERY, *MEANING)
