"""What is left to do for a committer that died after the manifest was marked clean."""

from __future__ import annotations

from logstore.ring.client import Client
from logstore.ring.layout import State


class LastStep:
    """Take the committer's place to say that the log is closed."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def step(self) -> bool:
        """Say that the log is closed, once."""
        if self.finished():
            return False
        self._client.ring.set_state(State.CLOSED)
        return True

    def idle(self) -> None:
        """Never needed."""

    def finished(self) -> bool:
        """Tell whether it is said."""
        return self._client.state == State.CLOSED

    def close(self) -> None:
        """Leave the log."""
        self._client.close()
