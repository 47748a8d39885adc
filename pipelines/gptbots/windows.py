"""Windows of time over epoch milliseconds; pure."""

from calendar import timegm
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(at: datetime) -> int:
    """Return whole epoch milliseconds, rounded down."""
    # No subtraction: the instants of configuration and cursors are pendulum's, whose
    # differences are no plain timedelta.
    return timegm(at.utctimetuple()) * 1000 + at.microsecond // 1000


def instant(at: int) -> datetime:
    """Return the UTC instant of epoch milliseconds."""
    return _EPOCH + timedelta(milliseconds=at)


SMALLEST = 3
"""Milliseconds of a window that is not split: what ties on one of them touches no neighbour."""


@dataclass(frozen=True)
class Window:
    """The milliseconds from `start` up to, not with, `end`."""

    start: int
    end: int

    @property
    def asked(self) -> tuple[int, int]:
        """What to ask for, so that the window is covered whether its ends count or not."""
        return max(0, self.start - 1), self.end

    @property
    def splits(self) -> bool:
        """Whether there is a smaller window."""
        return self.end - self.start > SMALLEST

    def split(self, parts: int) -> list["Window"]:
        """Cut into at most `parts` windows, in order of time."""
        length = self.end - self.start
        parts = max(2, min(parts, length // SMALLEST))
        cuts = [self.start + length * i // parts for i in range(parts + 1)]
        return [Window(a, b) for a, b in pairwise(cuts)]

    def split_at(self, *cuts: int) -> list["Window"]:
        """Cut at those of the instants, in order of time, that lie inside."""
        inside = [cut for cut in cuts if self.start < cut < self.end]
        return [Window(a, b) for a, b in pairwise([self.start, *inside, self.end])]
