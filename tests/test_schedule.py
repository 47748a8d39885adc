"""When unattended syncs start, and who is told how they go."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import journal
from pipelines.child import Asked, Ended
from pipelines.schedule import Cron, Interval, next_start, schedule
from pipelines.series import HELD, Series
from pipelines.unattended import wait

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds must be naive
SCHEDULES = st.one_of(
    st.integers(1, 200_000).map(lambda seconds: Interval(timedelta(seconds=seconds))),
    st.sampled_from(
        [
            Cron("*/15 * * * *", "UTC"),
            Cron("7 3 * * 1", "Asia/Singapore"),
            Cron("30 2 * * *", "Europe/Berlin"),
            Cron("45 1 * * *", "America/New_York"),
        ]
    ),
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("text", "now", "due"),
    [
        ("15m", "2026-03-01T12:07:03Z", "2026-03-01T12:15:00Z"),
        ("15m", "2026-03-01T12:15:00Z", "2026-03-01T12:30:00Z"),
        ("1h30m", "2026-03-01T00:00:01Z", "2026-03-01T01:30:00Z"),
        ("1d", "2026-03-01T12:00:00Z", "2026-03-02T00:00:00Z"),
        ("0 6 * * *", "2026-03-01T05:59:59Z", "2026-03-01T06:00:00Z"),
        ("0 6 * * * Asia/Singapore", "2026-03-01T05:59:59Z", "2026-03-01T22:00:00Z"),
        # The hour from 2 to 3 does not exist that night; cron makes up for it at once.
        ("30 2 * * * Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"),
        # The hour from 1 to 2 comes twice that night; one sync, in the first of them.
        ("45 1 * * * America/New_York", "2026-11-01T05:00:00Z", "2026-11-01T05:45:00Z"),
        ("45 1 * * * America/New_York", "2026-11-01T05:45:00Z", "2026-11-02T06:45:00Z"),
        ("45 1 * * * America/New_York", "2026-11-01T06:10:00Z", "2026-11-02T06:45:00Z"),
    ],
)
def test_starts_lie_at_fixed_points_of_the_clock(text: str, now: str, due: str) -> None:
    assert schedule(text).after(at(now)) == at(due)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no schedule"),
        ("0", "never ends"),
        ("15", "is no schedule"),
        ("* * * *", "is no schedule"),
        ("61 * * * *", "bad minute"),
        ("0 6 * * * Mars/Base", "is no time zone"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("* * */20 * 1L", "has no start, ever"),
        ("0 0 6 * * *", "is no time zone"),
    ],
)
def test_what_is_no_schedule_is_told(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        schedule(text)


@given(SCHEDULES, MOMENTS)
def test_the_next_start_comes_after_now_and_nothing_lies_between(
    of: Interval | Cron, now: datetime
) -> None:
    due = of.after(now)
    assert due > now
    assert of.after(now + (due - now) / 2) == due
    assert next_start(of, now, 0) == due


@given(SCHEDULES, MOMENTS, st.integers(1, 5_000))
def test_a_failure_is_tried_again_in_bounds(of: Interval | Cron, now: datetime, tries: int) -> None:
    due, grid = next_start(of, now, tries), of.after(now)
    assert now < due <= max(grid, now + HOUR)
    if due > grid:  # starts were skipped, none was moved
        assert of.after(due - timedelta(microseconds=1)) == due
    assert due <= next_start(of, now, tries + 1)


@pytest.mark.parametrize(
    ("text", "waits"),
    [
        ("1d", [1, 2, 4, 8, 16, 32, 60, 60, 60]),  # sooner than the next start
        ("15m", [1, 2, 4, 8, 15, 30, 60, 60]),  # then starts are skipped
        ("1m", [1, 2, 4, 8, 16, 32, 60]),
        ("20s", [1 / 3, 2 / 3, 4 / 3, 8 / 3, 16 / 3, 32 / 3, 64 / 3, 128 / 3, 60]),
    ],
)
def test_waits_after_failures_double_up_to_an_hour(text: str, waits: list[float]) -> None:
    found = [next_start(schedule(text), NOON, n) - NOON for n in range(1, len(waits) + 1)]
    assert found == [timedelta(minutes=wait) for wait in waits]


class Clock:
    """A clock that is slept on, and that jumps where it is told to."""

    def __init__(self, jumps: dict[int, timedelta]) -> None:
        self.at = NOON
        self.sleeps = 0
        self._jumps = jumps

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        self.at += timedelta(seconds=seconds) + self._jumps.get(self.sleeps, timedelta())


@pytest.fixture
def asked() -> Iterator[Asked]:
    with Asked() as found:
        yield found
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("jump", "woken"),
    [
        (timedelta(), NOON + 15 * MINUTE),
        (7 * HOUR, NOON + 7 * HOUR),  # suspended: at once, the starts slept over are left out
        (-7 * HOUR, NOON - 7 * HOUR + 15 * MINUTE),  # set back: not 7 hours and a quarter
    ],
)
def test_a_clock_that_jumps_does_no_harm(asked: Asked, jump: timedelta, woken: datetime) -> None:
    clock, of = Clock({10: jump}), Interval(15 * MINUTE)
    wait(of.after, of.after(NOON), asked, now=clock.now, sleep=clock.sleep)
    assert timedelta() <= clock.at - woken < timedelta(seconds=10)


def test_who_is_asked_to_stop_waits_no_longer(asked: Asked) -> None:
    signal.raise_signal(signal.SIGTERM)
    wait(Interval(HOUR).after, datetime.now(UTC) + HOUR, asked)
    assert asked.signals == [signal.SIGTERM]


def play(kinds: str, channels: dict[str, bool], every: timedelta = 15 * MINUTE) -> list[str]:
    """Let syncs end in a row; return who was told what. Channels that are False are dead."""
    names = {"c": "complete", "f": "failed", "i": "incomplete", "b": "busy"}
    series, told = Series(), []
    for number, kind in enumerate(kinds):
        moment = NOON + number * every
        series = series.after(names[kind], moment)
        for channel, event in list(series.owed(channels, moment)):
            told.append(f"{number} {event}")
            if channels[channel]:
                series = series.delivered(channel, event)
    return told


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ("cccc", []),
        ("cfc", ["1 failure", "2 recovery"]),
        ("iffffcc", ["0 failure", "5 recovery"]),
        ("fcfc", ["0 failure", "1 recovery", "2 failure", "3 recovery"]),
        ("bbbc", []),  # held by another program: no failure
        ("bbbbbbc", ["4 failure", "6 recovery"]),  # unless it lasts
        ("fbbbc", ["0 failure", "4 recovery"]),
    ],
)
def test_each_series_of_failures_is_told_once_and_so_is_its_end(
    kinds: str, told: list[str]
) -> None:
    assert HELD == 4 * 15 * MINUTE
    assert play(kinds, {"webhook": True}) == told


def test_what_could_not_be_delivered_is_tried_again() -> None:
    assert play("fffc", {"webhook": False}) == ["0 failure", "1 failure", "2 failure"]


def test_a_channel_that_was_told_is_not_told_again_for_another_that_is_dead() -> None:
    told = play("fffc", {"command": True, "webhook": False})
    assert told == ["0 failure", "0 failure", "1 failure", "2 failure", "3 recovery"]


def ended(code: int, document: dict[str, object] | None = None, said: str = "") -> Ended:
    return Ended(code, document, said, NOON, NOON + timedelta(seconds=2))


BOT = {"source": "gptbots", "bot": "sales", "certified": True, "error": None, "failures": []}


@pytest.mark.parametrize(
    ("code", "document", "said", "kind", "errors"),
    [
        (0, {"bots": [BOT]}, "", "complete", []),
        (1, {"bots": [BOT | {"error": "no"}]}, "", "incomplete", ["gptbots sales: no"]),
        (1, {"bots": [BOT | {"failures": ["a", "b"]}]}, "", "incomplete",
         ["gptbots sales: a", "gptbots sales: b"]),
        (1, {"bots": [BOT | {"certified": False}]}, "", "incomplete",
         ["gptbots sales: not certified"]),
        (1, {"bots": [BOT], "models_error": "m"}, "", "incomplete", ["m"]),
        (1, None, "the disk is full", "failed", ["the disk is full"]),
        (2, None, "no bot is configured", "failed", ["no bot is configured"]),
        (75, None, "another sync holds it", "busy", ["another sync holds it"]),
        (-9, None, "", "failed", ["killed by SIGKILL"]),
        (-40, None, "", "failed", ["killed by signal 40"]),
        (-11, None, "Fatal", "failed", ["killed by SIGSEGV"]),
        (143, None, "", "failed", ["it ended with 143"]),
    ],
)  # fmt: skip
def test_every_end_has_its_kind_and_its_reasons(
    code: int, document: dict[str, object] | None, said: str, kind: str, errors: list[str]
) -> None:
    found = ended(code, document, said)
    assert (found.kind, found.errors) == (kind, errors)


def test_a_line_of_the_log_stays_one_line_whatever_upstream_says() -> None:
    said = journal.line(journal.synced(ended(1, None, "x\n\x1b[31m\u202eé"), NOON))
    assert said == (
        "2026-03-01T12:00:02Z FAILED: x\\n\\x1b[31m\\u202eé; 2.0 s; next start 2026-03-01T12:00:00Z"
    )
