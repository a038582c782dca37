"""What a planted bug is, and putting one into a tree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class Misfit(Exception):
    """An edit does not fit the tree any more."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace a text, which the file has exactly once.

    Attributes:
        file: The file's path in the tree.
        old: What is there.
        new: What the mistake makes of it.
    """

    file: str
    old: str
    new: str

    def applied(self, text: str) -> str:
        """Return a file's text with the edit.

        Raises:
            Misfit: The old text is not there, or more than once, or the new one is the same.
        """
        count = text.count(self.old)
        if count != 1:
            raise Misfit(f"{self.file} has {count} times, not once: {self.old!r}")
        if self.old == self.new:
            raise Misfit(f"{self.file}: an edit that changes nothing: {self.old!r}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Bug:
    """One mistake, and the tests of which at least one must fail on it.

    Attributes:
        name: What it is called, in lower case with hyphens.
        mistake: One sentence: what is done wrong.
        tests: Pytest's names of the tests.
        edits: Where it is made.
    """

    name: str
    mistake: str
    tests: tuple[str, ...]
    edits: tuple[Edit, ...]

    def texts(self, tree: Path) -> dict[str, str]:
        """Return the texts of the files that it changes, by path in the tree.

        Raises:
            Misfit: An edit does not fit.
        """
        texts: dict[str, str] = {}
        for edit in self.edits:
            before = texts.get(edit.file)
            if before is None:
                before = (tree / edit.file).read_text(encoding="utf-8")
            texts[edit.file] = edit.applied(before)
        return texts

    def plant(self, tree: Path) -> list[str]:
        """Change a tree's files; return which.

        Raises:
            Misfit: An edit does not fit; nothing was changed.
        """
        texts = self.texts(tree)
        for name, text in texts.items():
            (tree / name).write_text(text, encoding="utf-8")
        return list(texts)
