"""A run, and whether it counts: a loader that is quick and wrong must not win."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
from measure import SAID, Usage

if TYPE_CHECKING:
    from pathlib import Path

WAREHOUSE = "warehouse.duckdb"


@dataclass(frozen=True)
class Run:
    """One run: what it took, how many requests the server counted, what is wrong with it.

    `sql` is the seconds that dbt spent on the models, of runs that build them.
    """

    usage: Usage
    requests: int
    wrong: str | None = None
    sql: float | None = None


def complaint(usage: Usage, folder: Path) -> str | None:
    """Return how a process that failed ended."""
    last = (folder / SAID).read_text(errors="replace").strip()[-300:]
    return f"ended with {usage.status}: {' '.join(last.split())}" if usage.status else None


def checked(run: Run, there: int, loaded: int) -> Run:
    """Return a run that counts only if as much was loaded as there is."""
    wrong = None if loaded == there else f"{loaded:,} of {there:,} conversations"
    return Run(run.usage, run.requests, wrong)


def distinct(folder: Path, table: str | None) -> int:
    """Return how many conversations a table holds; 0 where there is none, or one comes twice."""
    try:
        counts = f"select count(*), count(distinct conversation_id) from {table}"  # noqa: S608 - ours
        ((rows, conversations),) = ask(folder, counts)
    except duckdb.Error:
        return 0
    return int(str(conversations)) if rows == conversations else 0


def ask(folder: Path, sql: str, *values: object) -> list[tuple[object, ...]]:
    """Ask the warehouse in a folder."""
    with duckdb.connect(str(folder / WAREHOUSE), read_only=True) as connection:
        return connection.execute(sql, values).fetchall()


def seconds_of_models(folder: Path) -> float:
    """Add up what dbt's log says that each model and seed took."""
    (log,) = folder.rglob("dbt.log")
    events = [json.loads(line)["data"] for line in log.read_text().splitlines()]
    return sum(event.get("execution_time", 0.0) for event in events if "node_info" in event)
