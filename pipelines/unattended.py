"""Syncs on a schedule until asked to stop: one after the other, never two at once."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from pipelines import child, journal, notify
from pipelines.child import Asked, Ended
from pipelines.schedule import Schedule, next_start
from pipelines.series import Series

_LOOKS_EVERY = 0.5
_WRONG = 2


def run(
    schedule: Schedule,
    arguments: Sequence[str],
    channels: Mapping[str, notify.Send],
    tell: journal.Tell,
) -> int:
    """Sync at once and at each start of the schedule; return the exit code.

    Starts that pass while a sync runs or the machine sleeps are left out, not made up for.

    Args:
        schedule: when to start.
        arguments: of each sync's command line.
        channels: whom to tell of failures, by name.
        tell: called with each entry of the log.
    """
    with Asked() as asked:
        return _run(schedule, arguments, channels, tell, asked)


def _run(
    schedule: Schedule,
    arguments: Sequence[str],
    channels: Mapping[str, notify.Send],
    tell: journal.Tell,
    asked: Asked,
) -> int:
    series, is_first = Series(), True
    while not asked:
        ended = child.sync(arguments, asked)
        if asked:
            break
        if is_first and ended.exit_code == _WRONG:
            tell(journal.synced(ended, None))
            return _WRONG
        is_first = False
        series = _told(series.after(ended.kind, ended.ended_at), ended, channels, tell)
        due = next_start(schedule, datetime.now(UTC), series.tries)
        tell(journal.synced(ended, due))
        wait(partial(next_start, schedule, tries=series.tries), due, asked)
    tell(journal.stopped(asked.signals[0], datetime.now(UTC)))
    return 128 + asked.signals[1] if len(asked.signals) > 1 else 0


def _told(
    series: Series, ended: Ended, channels: Mapping[str, notify.Send], tell: journal.Tell
) -> Series:
    for channel, event in [*series.owed(channels, ended.ended_at)]:
        try:
            channels[channel](notify.encoded(journal.notification(event, series, ended)))
        except notify.NotDelivered as failed:
            tell(journal.undelivered(channel, event, str(failed), datetime.now(UTC)))
        else:
            series = series.delivered(channel, event)
    return series


def _now() -> datetime:
    return datetime.now(UTC)


def wait(
    plan: Callable[[datetime], datetime],
    due: datetime,
    asked: Asked,
    *,
    now: Callable[[], datetime] = _now,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until the clock shows an instant, or until asked to stop.

    The clock itself is looked at, in short steps: one long sleep would not count the time that
    the machine is suspended. A clock that was set back would mean a long wait: it is planned anew.
    """
    before = now()
    while not asked and (at := now()) < due:
        due = plan(at) if at < before else due
        before = at
        sleep(max(0.0, min(_LOOKS_EVERY, (due - at).total_seconds())))
