"""Draw the pictures again: `python -m tools.bench.charts DIRECTORY RESULTS.json ...`."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.bench.charts import draw_all


def main(words: list[str]) -> int:
    """Draw from one or more files of figures; a later file's cases replace an earlier one's."""
    if len(words) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    for path in draw_all([Path(word) for word in words[1:]], Path(words[0])):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
