"""Windows of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pendulum
from hypothesis import given
from hypothesis import strategies as st

from pipelines.gptbots.windows import SMALLEST, Window, instant, milliseconds

WINDOWS = st.tuples(st.integers(0, 10**13), st.integers(2, 10**12)).map(
    lambda found: Window(found[0], found[0] + found[1])
)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1))  # noqa: DTZ001 - hypothesis'


@given(WINDOWS, st.integers(0, 100))
def test_the_parts_of_a_window_are_the_window(window: Window, parts: int) -> None:
    found = window.split(parts)
    assert 2 <= len(found) <= max(2, parts)
    assert (found[0].start, found[-1].end) == (window.start, window.end)
    assert all(a.end == b.start for a, b in pairwise(found))
    assert all(part.start < part.end for part in found)


@given(WINDOWS)
def test_halving_ends_at_windows_that_do_not_split(window: Window) -> None:
    halvings = 0
    while window.splits:
        window = window.split(2)[-1]
        halvings += 1
    assert SMALLEST - 1 <= window.end - window.start <= SMALLEST
    assert halvings < 50


@given(WINDOWS, st.data())
def test_a_window_is_cut_only_inside(window: Window, data: st.DataObject) -> None:
    at = data.draw(st.integers(window.start + 1, window.end - 1))
    two = [Window(window.start, at), Window(at, window.end)]
    assert window.split_at(at) == two
    assert window.split_at(window.start, at, window.end, window.end + 1) == two
    assert window.split_at(window.end) == [window]


@given(WINDOWS, st.booleans(), st.booleans(), st.data())
def test_what_is_asked_covers_the_window_whether_its_ends_count_or_not(
    window: Window,
    start_counts: bool,  # noqa: FBT001 - a knob
    end_counts: bool,  # noqa: FBT001 - a knob
    data: st.DataObject,
) -> None:
    at = data.draw(st.integers(window.start, window.end - 1))
    start, end = window.asked
    after = at >= start if start_counts or start == 0 else at > start
    assert after
    assert at <= end if end_counts else at < end
    assert end - start <= window.end - window.start + 1


@given(MOMENTS)
def test_milliseconds_round_down_and_come_back(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    found = milliseconds(aware)
    assert timedelta(0) <= aware - instant(found) < timedelta(milliseconds=1)
    assert milliseconds(instant(found)) == found


def test_instants_of_pendulum_and_of_other_zones_are_read_too() -> None:
    there = pendulum.datetime(2026, 1, 1, 7, 0, 0, 1999, tz="Asia/Bangkok")
    assert milliseconds(there) == 1767225600001
