"""Where a bot's incremental reading stands."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Cursor:
    """`last` is the newest activity loaded, None before the first load."""

    initial: datetime
    lookback: timedelta
    last: datetime | None = None

    @property
    def start(self) -> datetime:
        """From where to read: the lookback behind the cursor, or the beginning."""
        return self.initial if self.last is None else max(self.initial, self.last - self.lookback)
