"""What runs come to: medians, ratios round by round, and whether a target is met."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from checks import Run

    Measure = Callable[[Run], float]


@dataclass(frozen=True)
class Figure:
    """One measured value, with its limit where there is one."""

    what: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the value keeps to its limit, None where it has none."""
        if self.at_most is not None:
            return self.value <= self.at_most
        return None if self.at_least is None else self.value >= self.at_least


@dataclass
class Workload:
    """What was run and what it came to.

    Attributes:
        rows: conversations that one run is about, for rows a second; None where that says nothing.
        runs: those of each contestant, in rounds.
    """

    name: str
    title: str
    rows: int | None
    runs: dict[str, list[Run]]
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def wall(run: Run) -> float:
    """Seconds by the clock."""
    return run.usage.wall


def cpu(run: Run) -> float:
    """Seconds of the processor."""
    return run.usage.cpu


def memory(run: Run) -> float:
    """Peak memory, MB."""
    return run.usage.memory


def threads(run: Run) -> float:
    """Most threads."""
    return run.usage.threads


def connections(run: Run) -> float:
    """Most connections."""
    return run.usage.connections


def requests(run: Run) -> float:
    """Requests that the server counted."""
    return run.requests


def sql(run: Run) -> float:
    """Seconds of dbt's models."""
    return run.sql or 0.0


def middle(runs: Sequence[Run], of: Measure) -> float | None:
    """Return the median of the runs that count, None if none does."""
    counted = [of(run) for run in runs if not run.wrong]
    return median(counted) if counted else None


def ratio(
    runs: Mapping[str, Sequence[Run]], one: str, other: str, of: Measure = wall
) -> float | None:
    """Return the median of the ratios of each round in which both count."""
    pairs = zip(runs.get(one, ()), runs.get(other, ()), strict=False)
    ratios = [of(a) / of(b) for a, b in pairs if not (a.wrong or b.wrong)]
    return median(ratios) if ratios else None


def figure(
    what: str,
    value: float | None,
    unit: str = "",
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> list[Figure]:
    """Return the figure, or nothing where there was nothing to measure."""
    return [] if value is None else [Figure(what, value, unit, at_most, at_least)]


def divided(value: float | None, by: float | None) -> float | None:
    """Return a quotient where both were measured."""
    return None if value is None or not by else value / by
