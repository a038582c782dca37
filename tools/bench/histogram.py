"""Latencies counted in buckets of about 1.5 %, however many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, Self, TypeAlias

_DIGITS: Final = 6  # bits that are kept below the highest one
SHARES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
Metrics: TypeAlias = dict[str, float]


def bucket_of(value: int) -> int:
    """Return the middle of the values that are counted together with this one."""
    shift = value.bit_length() - 1 - _DIGITS
    return value if shift <= 0 else (value >> shift << shift) + (1 << shift >> 1)


class Histogram:
    """How often each latency was met, in nanoseconds."""

    def __init__(self, took_ns: Iterable[int] = ()) -> None:
        self.counts: Counter[int] = Counter(map(bucket_of, took_ns))

    def add(self, other: Self) -> None:
        """Count what another has counted, too."""
        self.counts.update(other.counts)

    def percentile(self, share: float) -> int:
        """Return the latency that `share` of all did not exceed."""
        left = share * self.counts.total()
        for value, count in sorted(self.counts.items()):
            left -= count
            if left <= 0:
                return value
        return max(self.counts)

    def metrics(self) -> Metrics:
        """Return the usual percentiles in microseconds."""
        return {f"{name} us": self.percentile(share) / 1e3 for name, share in SHARES.items()}

    def curve(self) -> list[tuple[float, int]]:
        """Return (share of all that are at most as late, latency) for each bucket."""
        points, seen, total = [], 0, self.counts.total()
        for value, count in sorted(self.counts.items()):
            seen += count
            points.append((seen / total, value))
        return points

    def as_json(self) -> dict[str, int]:
        """Return the counts by latency, for a JSON file."""
        return {str(value): count for value, count in sorted(self.counts.items())}

    @classmethod
    def from_json(cls, counts: Mapping[str, int]) -> Self:
        """Read what `as_json` wrote."""
        made = cls()
        made.counts = Counter({int(value): count for value, count in counts.items()})
        return made
