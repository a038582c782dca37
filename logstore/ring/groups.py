"""The group table in the region: names to ids, and how far each group's seq is.

Id 0 is the default group. A group exists once its id is below `group_count`; its name was appended
to the log before that, so whoever reads a record of a group has met its name.
"""

from __future__ import annotations

from logstore.errors import Corruption, InvalidArgument, LimitReached, ReadOnly
from logstore.frames import GROUP_NAME
from logstore.ring._ring import LAYOUT, Ring
from logstore.ring.client import Client
from logstore.ring.layout import GROUPS, group_offset

NAME_BYTES = 63


def require_group_name(name: object) -> str:
    """Return `name` if a group can have it.

    Raises:
        InvalidArgument: It is no str, empty, longer than 63 bytes, or not printable.
    """
    if not isinstance(name, str) or not name.isprintable():
        raise InvalidArgument(f"a group's name is printable text, not {name!r}")
    if not 1 <= len(name.encode()) <= NAME_BYTES:
        raise InvalidArgument(f"a group's name has 1 to {NAME_BYTES} bytes, not {name!r}")
    return name


def count(ring: Ring) -> int:
    """Return how many groups there are.

    Raises:
        Corruption: More than there can be.
    """
    number = ring.load(LAYOUT["group_count"])
    if number > GROUPS:
        raise Corruption(f"the log's shared memory is damaged: it has {number} groups")
    return number


def name_of(ring: Ring, number: int) -> str:
    """Return the name of a group that exists."""
    raw = ring.read_header(group_offset(number, "name"), NAME_BYTES + 1)
    return raw.split(b"\0", 1)[0].decode(errors="replace")


def find(ring: Ring, name: str) -> int | None:
    """Return a group's id, or None if there is no such group."""
    return next((n for n in range(count(ring)) if name_of(ring, n) == name), None)


def find_or_create(client: Client, name: str) -> int:
    """Return a group's id; make the group if it is not there. Blocks while another one is made.

    Raises:
        InvalidArgument: The name is not allowed.
        LimitReached: There are 1,024 groups.
        RingFull, NotRunning, Closed: The log takes no appends.
    """
    ring = client.ring
    number = find(ring, require_group_name(name))
    if number is not None:
        return number
    if client.read_only:
        raise ReadOnly("there is no such group, and this log was attached for reading")
    with client.duties.making_groups():
        number = find(ring, name)
        if number is not None:
            return number
        number = count(ring)
        if number == GROUPS:
            raise LimitReached(f"there are {GROUPS} groups already")
        text = name.encode()
        ring.write_header(group_offset(number, "name"), text + bytes(NAME_BYTES + 1 - len(text)))
        ring.append(text, None, number, GROUP_NAME)
        # Crash: before this line the next maker takes the same id, and its name, appended later,
        # is the one that holds.
        ring.store(LAYOUT["group_count"], number + 1)
    return number
