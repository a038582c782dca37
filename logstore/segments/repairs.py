"""REPAIRS: the small text file that says what was ever lost to damage.

It is written before a repair changes anything, and once more when it is done. So a repair that
died in the middle is taken up again with all that it had found, and no hole is ever forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self

from logstore.errors import Corruption
from logstore.files import Directory
from logstore.lsn import MAXIMUM_LSN
from logstore.segments import whole_file
from logstore.segments.whole_file import CRC_LINE_SIZE, crc_line

REPAIRS: Final = "REPAIRS"
_TEMPORARY: Final = "REPAIRS.tmp"
_MAGIC: Final = "logstore-repairs 1"
_LARGEST: Final = 16 * 1024 * 1024


class Hole(NamedTuple):
    """A stretch of the log that was lost: frames in [from_lsn, until_lsn) are gone."""

    from_lsn: int
    until_lsn: int


class Lost(NamedTuple):
    """Seqs of one group that no frame has any more; at most so many records."""

    epoch: int
    group: int
    first_seq: int
    last_seq: int


class Resumed(NamedTuple):
    """A repair: its epoch, and where the log goes on behind it; 0 if nothing was lost."""

    epoch: int
    resume_lsn: int


@dataclass(frozen=True, slots=True)
class Repairs:
    """Say what was lost.

    Attributes:
        holes: In order, not touching.
        lost: The seqs that are known to have been in them.
        resumed: The repairs that are finished, and lost something.
        unfinished: The repair under way, if there is one.
    """

    holes: tuple[Hole, ...] = ()
    lost: tuple[Lost, ...] = ()
    resumed: tuple[Resumed, ...] = ()
    unfinished: Resumed | None = None

    def finished(self) -> Repairs:
        """Return what is known when the repair under way has come to its end."""
        done = self.unfinished
        resumed = self.resumed if done is None or not done.resume_lsn else (*self.resumed, done)
        return replace(self, resumed=resumed, unfinished=None)

    def blurs(self, base_lsn: int, end_lsn: int) -> bool:
        """Tell whether frames before the end of this segment are lost, and it is not newer."""
        if not self.holes:
            return False
        newest = max((one.resume_lsn for one in self.resumed), default=0)
        return self.holes[0].from_lsn < end_lsn and base_lsn < newest

    def encode(self) -> bytes:
        """Return the text with its checksum."""
        body = "".join(f"{line}\n" for line in self._lines()).encode()
        return body + crc_line(body)

    def _lines(self) -> Iterator[str]:
        yield _MAGIC
        if self.unfinished is not None:
            yield "unfinished {} {}".format(*self.unfinished)
        for one in self.resumed:
            yield "resumed {} {}".format(*one)
        for hole in self.holes:
            yield f"hole {hole.from_lsn:020d} {hole.until_lsn:020d}"
        for lost in self.lost:
            yield "lost {} {} {} {}".format(*lost)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the text.

        Raises:
            Corruption: It is not exactly what some `encode` gave.
        """
        body, last_line = data[:-CRC_LINE_SIZE], data[-CRC_LINE_SIZE:]
        if last_line != crc_line(body):
            raise Corruption("the checksum of REPAIRS is wrong")
        first, _, rest = body.partition(b"\n")
        if first != _MAGIC.encode():
            raise Corruption("REPAIRS is not of a version that is known here")
        try:
            repairs = cls._parse(rest.decode().split("\n")[:-1])
        except (ValueError, TypeError) as error:
            raise Corruption(f"REPAIRS makes no sense: {error}") from error
        # One text for one meaning: whatever is not written exactly so is not ours.
        if repairs.encode() != data:
            raise Corruption("REPAIRS is not in its one right form")
        repairs._check()
        return repairs

    @classmethod
    def _parse(cls, lines: list[str]) -> Self:
        words = [line.split(" ") for line in lines]
        numbers = [(word, [int(number) for number in rest]) for word, *rest in words]
        unfinished = [Resumed(*rest) for word, rest in numbers if word == "unfinished"]
        return cls(
            holes=tuple(Hole(*rest) for word, rest in numbers if word == "hole"),
            lost=tuple(Lost(*rest) for word, rest in numbers if word == "lost"),
            resumed=tuple(Resumed(*rest) for word, rest in numbers if word == "resumed"),
            unfinished=unfinished[0] if unfinished else None,
        )

    def _check(self) -> None:
        repairs = self.resumed if self.unfinished is None else (*self.resumed, self.unfinished)
        epochs = [one.epoch for one in repairs] + [one.epoch for one in self.lost]
        places = [lsn for hole in self.holes for lsn in hole]
        places += [one.resume_lsn for one in repairs]
        if not all(0 <= epoch < 2**64 for epoch in epochs):
            raise Corruption("REPAIRS names an epoch that cannot be")
        if not all(0 <= lsn <= MAXIMUM_LSN for lsn in places) or merged(self.holes) != self.holes:
            raise Corruption("the holes that REPAIRS names are not stretches in order")
        if any(one.from_lsn > one.until_lsn for one in self.holes):
            raise Corruption("a hole that REPAIRS names is backwards")
        for one in self.lost:
            if not (one.group <= 0xFFFF and 1 <= one.first_seq <= one.last_seq < 2**64):
                raise Corruption("REPAIRS names seqs that no group can have")


def load(directory: Directory) -> Repairs:
    """Read the file; if there is none, nothing was ever lost.

    Raises:
        Corruption: It cannot be used.
        ReadFailed, PermissionDenied: It could not be read.
    """
    data = whole_file.load(directory, REPAIRS, _LARGEST)
    try:
        return Repairs() if data is None else Repairs.decode(data)
    except Corruption as error:
        error.path = directory.path / REPAIRS
        raise


def save(directory: Directory, repairs: Repairs, *, mode: int = 0o600) -> None:
    """Replace the file as a whole; durable on return, and so are all renames before it."""
    whole_file.replace(
        directory,
        REPAIRS,
        repairs.encode(),
        temporary=_TEMPORARY,
        folder=".",
        mode=mode,
        what="repairs",
    )


def require_finished(directory: Directory) -> None:
    """Refuse a log whose repair was begun and not brought to its end.

    Raises:
        Corruption: It was not; repairing again goes on with it.
    """
    if load(directory).unfinished is not None:
        raise Corruption(
            "a repair of this log was begun and not finished; repair it again",
            path=directory.path / REPAIRS,
        )


def merged(holes: Iterable[Hole]) -> tuple[Hole, ...]:
    """Return the holes in order, those that touch or overlap as one."""
    result: list[Hole] = []
    for hole in sorted(holes):
        if result and hole.from_lsn <= result[-1].until_lsn:
            last = result.pop()
            hole = Hole(last.from_lsn, max(last.until_lsn, hole.until_lsn))
        result.append(hole)
    return tuple(result)
