"""When people write: busy days, quiet nights and weekends, a little more every month."""

from random import Random

from pipelines.simulator.moments import HOUR

_DAY = (1, 1, 1, 1, 1, 2, 4, 7, 10, 12, 12, 11, 9, 11, 12, 12, 11, 10, 9, 9, 8, 6, 4, 2)
_WEEK = (1.0, 1.05, 1.0, 1.0, 0.95, 0.5, 0.4)
_WEIGHTS = [day * hour for day in _WEEK for hour in _DAY]
_MEAN = sum(_WEIGHTS) / len(_WEIGHTS)
_THURSDAY = 3 * 24  # 1970 began on a Thursday


def busyness(moment: int) -> float:
    """Return how busy the hour of an instant is; over a week the mean is 1."""
    return _WEIGHTS[(moment // HOUR + _THURSDAY) % len(_WEIGHTS)] / _MEAN


def moments(rng: Random, count: int, since: int, until: int) -> list[int]:
    """Draw instants between two, oldest first, in the rhythm of the week and mildly growing."""
    hours = range(since // HOUR, until // HOUR + 1)
    growth = 0.6 / len(hours)
    weights = [busyness(hour * HOUR) * (0.7 + growth * n) for n, hour in enumerate(hours)]
    chosen = rng.choices(hours, weights, k=count)
    drawn = [(hour + rng.random()) * HOUR for hour in chosen]
    return sorted(_inside(int(moment), since, until) for moment in drawn)


def _inside(moment: int, since: int, until: int) -> int:
    """Fold an instant of the first or last, incomplete hour into the period."""
    if since <= moment <= until:
        return moment
    return since + moment % (until - since + 1)
