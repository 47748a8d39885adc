"""Instants as whole microseconds since 1970, and back."""

from datetime import UTC, datetime, timedelta, timezone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MINUTE = 60_000_000
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
    when = instant(moment)
    if offset_hours:
        when = when.astimezone(timezone(timedelta(hours=offset_hours)))
    text = when.isoformat()
    if not when.microsecond:
        return text
    return text[:-6].rstrip("0") + text[-6:]


def parsed(text: object) -> int | None:
    """Return the microseconds of an ISO instant with an offset, None for anything else."""
    try:
        return micros(datetime.fromisoformat(str(text)))
    except (ValueError, TypeError):  # no instant at all, or one without an offset
        return None
