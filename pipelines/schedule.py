"""When an unattended sync starts: at fixed points of the clock, sooner or later after failures."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from pipelines import settings_values

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SOONEST = timedelta(minutes=1)
_LONGEST = timedelta(hours=1)
_ENOUGH = 12
"""Doublings after which a wait is the longest, whatever it began with."""
_FIELDS = 5
_WRONG = (
    'is no schedule; write a duration like "15m", or a cron expression like "0 6 * * *", '
    'with a time zone like "0 6 * * * Asia/Singapore" if not in UTC'
)


@dataclass(frozen=True)
class Interval:
    """Starts at the multiples of a step since 1970, in UTC: 15m is :00, :15, :30 and :45.

    So they lie where they did after a restart, and nothing that a sync takes moves them.
    """

    step: timedelta

    def after(self, now: datetime) -> datetime:
        """Return the first start after an instant."""
        return _EPOCH + ((now - _EPOCH) // self.step + 1) * self.step


@dataclass(frozen=True)
class Cron:
    """Starts of a cron expression, as Debian's cron has them, also when clocks change."""

    expression: str
    zone: str

    def after(self, now: datetime) -> datetime:
        """Return the first start after an instant.

        Raises:
            StopIteration: there is none within 50 years.
        """
        return next(start for start in self._from(now) if start > now)

    def _from(self, now: datetime) -> Iterator[datetime]:
        # In the second of two equal hours some of these lie in the first, before `now`.
        zone = UTC if self.zone == "UTC" else ZoneInfo(self.zone)
        starts = CronSim(self.expression, now.astimezone(zone))
        return (start.astimezone(UTC) for start in starts)


Schedule = Interval | Cron


def schedule(text: str) -> Schedule:
    """Read a duration, or five fields of cron with or without a time zone behind them.

    Raises:
        ValueError: it is neither, or there is never a start.
    """
    words = text.split()
    return _cron(words) if len(words) in (_FIELDS, _FIELDS + 1) else _interval(text)


def _interval(text: str) -> Interval:
    try:
        step = settings_values.duration(text)
    except ValueError:
        raise ValueError(_WRONG) from None
    if not step:
        raise ValueError("never ends; write a duration from 1s on")
    return Interval(step)


def _cron(words: list[str]) -> Cron:
    zone = settings_values.time_zone(words[_FIELDS]) if len(words) > _FIELDS else "UTC"
    found = Cron(" ".join(words[:_FIELDS]), zone)
    try:
        found.after(_EPOCH)
    except CronSimError as wrong:
        raise ValueError(f"{_WRONG} ({str(wrong).lower()})") from None
    except StopIteration:
        raise ValueError("has no start, ever; correct its day or month") from None
    return found


def next_start(of: Schedule, now: datetime, tries: int) -> datetime:
    """Return when to start next, after so many syncs in a row that were not complete.

    A failure is tried again after a minute, then two, four and so on up to an hour, so that a
    daily sync is not lost to a moment's outage. Where starts are closer than that, they are
    skipped, so that a broken upstream is not hammered. Never is one later than both the next
    start and an hour from now. An interval below a minute takes the place of the first minute.
    """
    due = of.after(now)
    if not tries:
        return due
    soonest = min(_SOONEST, of.after(due) - due)
    again = now + min(soonest * (1 << min(tries - 1, _ENOUGH)), _LONGEST)
    if again < due:
        return again
    while (later := of.after(due)) <= again:
        due = later
    return due
