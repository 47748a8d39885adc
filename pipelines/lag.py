"""Which bots have not been read completely for too long: what monitors ask."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines import warehouse
from pipelines.errors import ConvoyError, WarehouseBusy
from pipelines.settings import Settings

BotKey = tuple[str, str]
_PATIENCE = 10.0
"""Seconds to wait for a sync that writes: as long as a large package or small models take."""
_PAUSE = 0.2


@dataclass(frozen=True)
class Lag:
    """How long ago a bot was last read completely; None where it never was."""

    source: str
    bot: str
    last_complete_sync_at: datetime | None
    seconds: float | None
    stale: bool


@dataclass(frozen=True)
class Lags:
    """All configured bots against the most that is allowed."""

    max_seconds: float
    bots: list[Lag]

    @property
    def stale(self) -> list[Lag]:
        """Those that lag too far behind."""
        return [bot for bot in self.bots if bot.stale]

    def as_json(self) -> dict[str, Any]:
        """Return the document that `--json` prints."""
        return {"fresh": not self.stale, **asdict(self)}


def lags(
    settings: Settings,
    configured: Iterable[BotKey],
    most: timedelta,
    patience: float = _PATIENCE,
) -> Lags:
    """Compare each bot's last complete sync with the present.

    The published file is asked first, the warehouse only where that does not suffice: a look
    there could keep a sync from writing, and has to wait for one that does. If it waits in vain,
    what is published stands: syncs up to an hour older than the last.

    Raises:
        WarehouseBusy: another program holds the warehouse, and nothing is published.
        WarehouseFailed: it can't be read.
    """
    names = sorted(configured)
    known = _published(settings.publish)
    if known is None or compared(names, known, most, datetime.now(UTC)).stale:
        known = {**(known or {}), **_stored(settings.warehouse, patience, enough=known)}
    return compared(names, known, most, datetime.now(UTC))


def compared(
    names: Iterable[BotKey], last: Mapping[BotKey, datetime], most: timedelta, now: datetime
) -> Lags:
    """Tell who lags more than that."""
    return Lags(most.total_seconds(), [*_each(names, last, most, now)])


def _each(
    names: Iterable[BotKey], last: Mapping[BotKey, datetime], most: timedelta, now: datetime
) -> Iterator[Lag]:
    for key in names:
        at = last.get(key)
        lag = None if at is None else now - at
        seconds = None if lag is None else round(lag.total_seconds(), 3)
        yield Lag(*key, at, seconds, stale=lag is None or lag > most)


def _published(path: Path) -> Mapping[BotKey, datetime] | None:
    try:
        return _last(path)
    except ConvoyError:  # the warehouse itself will tell
        return None


def _stored(
    path: Path, patience: float, enough: Mapping[BotKey, datetime] | None
) -> Mapping[BotKey, datetime]:
    until = time.monotonic() + patience
    while True:
        try:
            return _last(path) or {}
        except WarehouseBusy:
            if time.monotonic() >= until:
                if enough is None:
                    raise
                return enough
        time.sleep(_PAUSE)


def _last(path: Path) -> Mapping[BotKey, datetime] | None:
    """Return when each bot was last read completely, None where there is no file to tell."""
    if not path.exists():
        return None
    with warehouse.connect(path, read_only=True) as connection:
        if not warehouse.has_tables(connection):
            return None
        found = connection.execute(_COMPLETE).fetchall()
    return {(source, bot): at for source, bot, at in found}


# As the mart `freshness` has it.
_COMPLETE = """
    select source, bot, max(finished_at)
    from chat.sync_windows
    where certified and kind in ('history', 'sweep', 'head')
    group by all
"""
