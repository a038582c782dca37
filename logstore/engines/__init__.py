"""What can be built on the log: engines that keep their state by it."""

from logstore.engines.state_machine import Driver, StateMachine

__all__ = ["Driver", "StateMachine"]
