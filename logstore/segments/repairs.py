"""REPAIRS: the small text file that says what was ever lost to damage.

It is written before a repair changes anything, and once more when it is done. So a repair that
died in the middle is taken up again with all that it had found, and no hole is ever forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

from logstore.errors import Corruption
from logstore.files import Directory
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


class Unfinished(NamedTuple):
    """A repair that was begun: what it will call its own epoch, and where the log goes on."""

    epoch: int
    resume_lsn: int


@dataclass(frozen=True, slots=True)
class Repairs:
    """Say what was lost.

    Attributes:
        holes: In order, not touching.
        lost: The seqs that are known to have been in them.
        unfinished: The repair under way, if there is one.
    """

    holes: tuple[Hole, ...] = ()
    lost: tuple[Lost, ...] = ()
    unfinished: Unfinished | None = field(default=None)

    def encode(self) -> bytes:
        """Return the text with its checksum."""
        body = "".join(f"{line}\n" for line in self._lines()).encode()
        return body + crc_line(body)

    def _lines(self) -> Iterator[str]:
        yield _MAGIC
        if self.unfinished is not None:
            yield "unfinished {} {}".format(*self.unfinished)
        for hole in self.holes:
            yield f"hole {hole.from_lsn:020d} {hole.until_lsn:020d}"
        for lost in self.lost:
            yield "lost {} {} {} {}".format(*lost)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the text.

        Raises:
            Corruption: It is not what some `encode` gave.
        """
        body, last_line = data[:-CRC_LINE_SIZE], data[-CRC_LINE_SIZE:]
        if last_line != crc_line(body):
            raise Corruption("the checksum of REPAIRS is wrong")
        first, *lines = body.decode().splitlines()
        if first != _MAGIC:
            raise Corruption("REPAIRS is not of a version that is known here")
        words = [line.split(" ") for line in lines]
        numbers = [(word, [int(number) for number in rest]) for word, *rest in words]
        unfinished = [Unfinished(*rest) for word, rest in numbers if word == "unfinished"]
        return cls(
            holes=tuple(Hole(*rest) for word, rest in numbers if word == "hole"),
            lost=tuple(Lost(*rest) for word, rest in numbers if word == "lost"),
            unfinished=unfinished[0] if unfinished else None,
        )


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
