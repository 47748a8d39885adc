"""The clock of a world: stands still until moved, or follows the real one."""

from datetime import UTC, datetime, timedelta


class Clock:
    """A clock that starts at a moment; a real one goes on by itself from there."""

    def __init__(self, start: datetime, *, real: bool) -> None:
        self.is_real = real
        self._ahead = start - datetime.now(UTC)
        self._at = start

    @property
    def now(self) -> datetime:
        """The present of the world, UTC."""
        return datetime.now(UTC) + self._ahead if self.is_real else self._at

    def move(self, step: timedelta) -> None:
        """Set the clock forward."""
        if step < timedelta(0):
            msg = f"the world's clock can't go back (by {-step})"
            raise ValueError(msg)
        self._at += step
        self._ahead += step
