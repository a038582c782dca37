"""Named places at which a crash is worth trying.

Nothing happens at them: a test puts another module in the place of this one, in a copy of the tree,
and there `point` ends the process. So no released build can be told to die.
"""

from __future__ import annotations


def point(name: str) -> None:
    """Mark a place. None of them is on the way of a record: a call costs what a call costs."""
