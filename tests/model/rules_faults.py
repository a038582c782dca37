"""Rules: processes are stopped, killed and started again."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.model.machine import groups, sizes
from tests.model.rules_consuming import Consuming
from tests.model.rules_reading import Reading
from tests.programs.party import Party


class Failing(Reading, Consuming):
    """Clean restarts, and kills."""

    @precondition(lambda self: self.there.alive)
    @rule(hold=st.one_of(st.none(), sizes), group=groups)
    def kill_there(self, hold: int | None, group: str) -> None:
        """Kill the second process, perhaps with a reservation in its hand."""
        if hold is not None:
            self.model.abandon(self.there.do(Party.hold, group, hold), group)
        self.there.kill()
        self._forget("there")

    def _forget(self, who: str) -> None:
        gone = [number for number in self.model.open if self.owners[number] == who]
        self.model.end(*gone)
        self.let_go(killed=who)

    @precondition(lambda self: self.steps_since_fault > self.pause)
    @rule(how=st.sampled_from(["stopped", "killed", "adopted"]))
    def restart(self, how: str) -> None:
        """Start the service again after a clean stop, or after a kill with or without everybody."""
        self.steps_since_fault = 0
        if how == "adopted":
            self.service.kill_all()
            self.service.start()  # the two are attached: nothing of theirs is lost
            self.until_nothing_is_going()
            return
        if how == "killed":
            self.service.kill_all()
        self.there.kill()
        self.here.party.detach()
        self.readings.clear()
        if how == "stopped":
            assert self.service.stop() == 0
        self.model.service_ended()
        self.service.start()
        self.until_nothing_is_going()
        self.here.party.attach()
        self.let_go(saved="here", killed="there")
