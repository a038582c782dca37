"""Power losses at every cut of a trace, after a recovery, and in the middle of one.

Each is named by what replays it: a chain of links, one for each time the power goes.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from logstore.segments.recover import recover
from tests.power.disk import Disk
from tests.power.history import History
from tests.power.images import Choice, choices
from tests.power.judging import Outcome, outcome
from tests.power.possible import Possibilities
from tests.power.profiles import BY_NAME, PROFILES, Profile
from tests.power.real import agrees
from tests.power.recording import EMPTY, Image, RecordedMemory, Trace
from tests.power.service import Ending, Simulation

RECOVERY: Final = -1
"""In the place of a seed: what is cut is a recovery and nothing behind it."""

SWEEP: Final = 0
"""In the place of a seed: a generation that stops in order."""

COURSES: Final = (
    (Ending.STOP, Ending.STOP),
    (Ending.KILL, Ending.STOP),
    (Ending.FAIL, Ending.STOP),
    (Ending.FAIL, Ending.KILL),
)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is tried.

    Attributes:
        few: Up to how many states of a cut all are tried.
        at_random: How many are drawn if there are more.
        most: How many of a cut are tried at most.
        again: After every how many-th image the recovery is cut, or a second generation lives and
            is cut, by turns; 0: never.
        on_disk: Every how many-th image goes through the real command as well; 0: none.
    """

    few: int
    at_random: int
    most: int
    again: int = 0
    on_disk: int = 0


@dataclass(frozen=True, slots=True)
class Loss:
    """One power loss, by what replays it."""

    seed: int
    profile: str
    cut: int
    choice: Choice

    def __str__(self) -> str:
        return f"{self.seed}:{self.profile}:{self.cut}:{'.'.join(map(str, self.choice))}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` gave."""
        seed, profile, cut, choice = text.split(":")
        units = tuple(map(int, choice.split("."))) if choice else ()
        return cls(int(seed), profile, int(cut), units)


@dataclass(slots=True)
class Count:
    """What was done, in images; `distinct` were recovered, the others were known already."""

    images: int = 0
    distinct: int = 0
    inside: int = 0
    second: int = 0
    on_disk: int = 0
    cuts: int = 0
    traces: int = 0

    def __str__(self) -> str:
        return (
            f"{self.images} images ({self.distinct} distinct; {self.inside} of power lost in a "
            f"recovery, {self.second} of a second generation) of {self.cuts} cuts in "
            f"{self.traces} traces; {self.on_disk} through the real command"
        )


@dataclass(slots=True)
class Generation:
    """Judge the images of one trace.

    Attributes:
        trace: What happened.
        history: What was appended.
        seed: What it was made from.
        floor: What was durable before the trace began.
        said: The links that led here.
        outcomes: What became of the images seen so far.
        judged: The same, by what recovery made of them.
    """

    trace: Trace
    history: History
    seed: int
    floor: int = 0
    said: str = ""
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    judged: dict[int, Outcome] = field(default_factory=dict)

    def losses(self, profile: Profile, effort: Effort) -> Iterator[tuple[Loss, Image, int]]:
        """Iterate over power losses with what they leave, and what must have been durable."""
        for cut, possible, floor in self._cuts(profile):
            rng = random.Random(f"{self.seed} {self.said} {profile.name} {cut}")
            every = choices(
                possible.counts,
                possible.newest(),
                few=effort.few,
                at_random=effort.at_random,
                most=effort.most,
                rng=rng,
            )
            for choice in every:
                yield Loss(self.seed, profile.name, cut, choice), possible.image(choice), floor

    def _cuts(self, profile: Profile) -> Iterator[tuple[int, Possibilities, int]]:
        """Iterate over the moments after which the disk may hold something new."""
        disk = Disk(self.trace, profile)
        floor = self.floor
        for cut, op in enumerate((None, *self.trace.ops)):
            changed = op is None or disk.apply(cut - 1, op)
            if op is not None and op.what == "acked":
                changed, floor = True, op.number
            if changed:
                yield cut, Possibilities(disk, profile, self.seed * 100_003 + cut), floor

    def image_of(self, loss: Loss) -> tuple[Image, int]:
        """Return what one power loss leaves, and what must have been durable."""
        for cut, possible, floor in self._cuts(BY_NAME[loss.profile]):
            if cut == loss.cut:
                return possible.image(loss.choice), floor
        raise ValueError(f"there is no cut {loss.cut} in this trace")

    def judge(self, loss: Loss, image: Image, floor: int, count: Count) -> Outcome:
        """Recover an image, or remember what came of an equal one, and judge it.

        Raises:
            AssertionError: It is not what must be left; says how to replay it.
        """
        count.images += 1
        key = image.key
        known = self.outcomes.get(key)
        if known is None:
            count.distinct += 1
            known = self.outcomes[key] = outcome(image, self.history, self.judged)
        trouble = known.trouble
        if not trouble and known.end < floor:
            trouble = f"1: the log ends at {known.end}, but {floor} was durable"
        assert not trouble, f"{trouble}\n  replay: LOGSTORE_POWER_LOSS='{self.said}{loss}'"
        return known


class Explorer:
    """Try power losses until told to stop.

    Attributes:
        count: What was done.
    """

    def __init__(self, place: Path, effort: Effort) -> None:
        """Work in the directory `place`, whose name begins the names of all logs."""
        self._place = place
        self._effort = effort
        self._numbers = itertools.count(1)
        self._commands = ThreadPoolExecutor(1, "power command")
        self._tried: tuple[Future[str], str] | None = None
        self.count = Count()

    def generation(
        self,
        seed: int,
        *,
        image: Image = EMPTY,
        history: History | None = None,
        floor: int = 0,
        said: str = "",
    ) -> Generation:
        """Live one generation, or let only the recovery happen, and return it to be judged."""
        self.count.traces += 1
        past = History() if history is None else history.until(floor)
        if seed == RECOVERY:
            directory = RecordedMemory.of(image)
            recover(directory)
            past.finish()
            return Generation(directory.trace, past, seed, floor, said)
        path = self._place.with_name(f"{self._place.name}-{next(self._numbers)}")
        simulation = Simulation(path, seed, image=image, history=past)
        simulation.run(COURSES[seed % len(COURSES)][: 1 if said else 2], actions=10 if said else 40)
        return Generation(simulation.trace, simulation.history, seed, floor, said)

    def explore(self, seed: int, profile: Profile) -> None:
        """Try the power losses of one seed under one profile.

        Raises:
            AssertionError: One left what must not be left.
        """
        effort, count = self._effort, self.count
        generation = self.generation(seed)
        count.cuts += len(generation.trace.ops) + 1
        swept = not effort.again
        for loss, image, floor in generation.losses(profile, effort):
            known = generation.judge(loss, image, floor, count)
            if effort.on_disk and count.images % effort.on_disk == 0:
                self._through_the_command(generation, image, known, loss)
            if known.leftovers and not swept:
                swept = True
                self._sweep(generation, loss, image, known.end)
            if effort.again and count.images % effort.again == 0 and known.end:
                self._again(generation, loss, image, known.end)
        self._await_the_command()

    def _sweep(self, first: Generation, loss: Loss, image: Image, end: int) -> None:
        """Let a service live on what is left; at its end nothing may be there that was dropped."""
        said = f"{first.said}{loss}/"
        try:
            self.generation(SWEEP, image=image, history=first.history, floor=end, said=said)
        except AssertionError as error:
            error.add_note(f"replay: LOGSTORE_POWER_LOSS='{said}'")
            raise

    def _through_the_command(
        self, generation: Generation, image: Image, known: Outcome, loss: Loss
    ) -> None:
        """Begin to try an image with the real command, which takes as long as many in memory."""
        self._await_the_command()
        path = self._place.with_name(f"{self._place.name}-{next(self._numbers)}")
        answer = self._commands.submit(agrees, path, image, known.end, generation.history)
        self._tried = (answer, f"replay: LOGSTORE_POWER_LOSS='{generation.said}{loss}'")

    def _await_the_command(self) -> None:
        if self._tried is not None:
            (answer, replay), self._tried = self._tried, None
            trouble = answer.result()
            assert not trouble, f"{trouble}\n  {replay}"
            self.count.on_disk += 1

    def _again(self, first: Generation, loss: Loss, image: Image, end: int) -> None:
        """Lose power once more: in the recovery, or in the generation that follows."""
        # By turns.
        seed = RECOVERY if self.count.images // self._effort.again % 2 else loss.cut
        before = self.count.images
        second = self.generation(
            seed, image=image, history=first.history, floor=end, said=f"{loss}/"
        )
        for profile in random.Random(f"{loss}").sample(PROFILES, 2):
            for next_loss, next_image, floor in second.losses(profile, self._effort):
                second.judge(next_loss, next_image, floor, self.count)
        done = self.count.images - before
        if seed == RECOVERY:
            self.count.inside += done
        else:
            self.count.second += done

    def replay(self, text: str) -> None:
        """Let happen what a failure has printed.

        Raises:
            AssertionError: It failed again.
        """
        generation: Generation | None = None
        image, floor, said = EMPTY, 0, ""
        for link in text.split("/"):
            loss = Loss.parse(link) if link else None
            history = generation.history if generation else None
            generation = self.generation(
                loss.seed if loss else SWEEP, image=image, history=history, floor=floor, said=said
            )
            if loss is None:
                return
            image, least = generation.image_of(loss)
            floor = generation.judge(loss, image, least, self.count).end
            said += f"{loss}/"
