"""What became of the requests of a load, and the figures taken from that."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

# What takes the place of a status where none came.
LEFT, CUT, UNREACHED, LATE = 0, -1, -2, -3
WORDS = {LEFT: "client left", CUT: "connection cut", UNREACHED: "not connected", LATE: "no answer in time"}
_GRID = 200


@dataclass
class Load:
    """What became of the requests: a column per figure, times on the clock of `time.monotonic`.

    begun: a client began to connect or, on a connection that it had, to send. asked: it began to send. sent: its last
    byte had left it (0: it never did). ended: the last byte of the answer was there, or it was clear that none comes.
    """

    started: float
    stopped: float = 0.0
    begun: list[float] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    retry_after: list[bool] = field(default_factory=list)
    unsent: int = 0
    cpu_seconds: float = 0.0

    @property
    def cpu_share(self) -> float:
        """Cores that the generator itself took."""
        return self.cpu_seconds / max(self.stopped - self.started, 1e-9)

    def statuses(self) -> dict[str, int]:
        """How often each status came, or what happened instead of one."""
        return {WORDS.get(status, str(status)): number for status, number in sorted(Counter(self.status).items())}

    def latencies(self, status: int = 200, *, since: str = "begun", after: float = 0.0) -> list[float]:
        """Seconds of every answer with this status, ascending; `since` is a column.

        after: leaves out requests that began in the first so many seconds.
        """
        return sorted(
            end - start
            for begun, start, end, got in zip(self.begun, getattr(self, since), self.ended, self.status, strict=True)
            if got == status and begun >= self.started + after
        )

    def throughput(self, after: float, until: float, status: int = 200) -> float:
        """Answers a second between two moments, in seconds after the start.

        The slope of the straight line through the count of answers: they come in batches, and a count between two
        moments would depend on where in a batch those lie.
        """
        ends = sorted(end - self.started for end, got in zip(self.ended, self.status, strict=True) if got == status)
        times = [after + (until - after) * step / _GRID for step in range(_GRID + 1)]
        counts, at = [], 0
        for moment in times:
            while at < len(ends) and ends[at] <= moment:
                at += 1
            counts.append(at)
        return slope(times, counts)


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Of the straight line with the least squares; 0 for fewer than two points."""
    if len(x) < 2:
        return 0.0
    middle_x, middle_y = sum(x) / len(x), sum(y) / len(y)
    spread = sum((a - middle_x) ** 2 for a in x)
    return sum((a - middle_x) * (b - middle_y) for a, b in zip(x, y, strict=True)) / spread if spread else 0.0


def percentile(ascending: Sequence[float], percent: float) -> float:
    """The value that so many percent do not exceed; NaN of nothing."""
    if not ascending:
        return float("nan")
    return ascending[max(0, math.ceil(percent * len(ascending) / 100) - 1)]
