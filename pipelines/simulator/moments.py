"""Instants as whole microseconds since 1970, and back."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def micros(moment: datetime) -> int:
    """Return the microseconds since 1970 of an instant."""
    return (moment - EPOCH) // MICROSECOND


def instant(moment: int) -> datetime:
    """Return the instant of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=moment)


def iso(moment: int, offset_hours: int = 0) -> str:
    """Write an instant as OKChat does: 0 to 6 fraction digits, trailing zeros cut, an offset."""
    hour, rest = divmod(moment + offset_hours * HOUR, HOUR)
    minute, rest = divmod(rest, MINUTE)
    second, fraction = divmod(rest, SECOND)
    digits = f".{fraction:06d}".rstrip("0") if fraction else ""
    sign = "-" if offset_hours < 0 else "+"
    return f"{_hour(hour)}:{minute:02d}:{second:02d}{digits}{sign}{abs(offset_hours):02d}:00"


@lru_cache(maxsize=100_000)
def _hour(hour: int) -> str:
    return instant(hour * HOUR).strftime("%Y-%m-%dT%H")


def parsed(text: object) -> int | None:
    """Return the microseconds of an ISO instant with an offset, None for anything else."""
    try:
        return micros(datetime.fromisoformat(str(text)))
    except (ValueError, TypeError):  # no instant at all, or one without an offset
        return None
