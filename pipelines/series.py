"""How unattended syncs go, one after the other: what failed in a row, and who knows of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

HELD = timedelta(hours=1)
"""How long another program may hold the warehouse before that is told like a failure."""


@dataclass(frozen=True)
class Series:
    """Syncs in a row that were not complete; after a complete one, the row that it ended.

    Attributes:
        tries: how many there were, 0 after a complete sync.
        failures: how many of them failed; the others found the warehouse held by another program.
        since: when the first of them ended.
        told: who was told of a failure and not yet of its end.
    """

    tries: int = 0
    failures: int = 0
    since: datetime | None = None
    told: frozenset[str] = frozenset()

    def after(self, kind: str, at: datetime) -> Self:
        """Return how it stands after one more sync, see `Ended.kind`."""
        if kind == "complete":
            return replace(self, tries=0)
        before = self if self.tries else Series()
        return replace(
            self,
            tries=before.tries + 1,
            failures=before.failures + (kind != "busy"),
            since=before.since or at,
        )

    def owed(self, channels: Iterable[str], now: datetime) -> Iterator[tuple[str, str]]:
        """Yield the channels to tell something, each with 'failure' or 'recovery'.

        Each is told once of a failure, however often it is repeated, and once of its end; what
        could not be delivered (often it is the network that fails) is owed on.
        """
        for channel in channels:
            if not self.tries and channel in self.told:
                yield channel, "recovery"
            elif self._is_alarming(now) and channel not in self.told:
                yield channel, "failure"

    def _is_alarming(self, now: datetime) -> bool:
        is_held = self.since is not None and now - self.since >= HELD
        return bool(self.tries) and (self.failures > 0 or is_held)

    def delivered(self, channel: str, event: str) -> Self:
        """Return the same, a channel told."""
        one = {channel}
        return replace(self, told=self.told | one if event == "failure" else self.told - one)
