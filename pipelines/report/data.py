"""What the page needs out of the published file, read only.

The page follows filters (source, platform, bot, period) without a server. So it is given a daily
aggregate of what adds up, in cells of day, source, bot and platform, and every number under a
filter is the SQL below with that filter in its `where`:

- credits: `sum(credits)` of `marts.credit_spend_daily`, by `spent_on`;
- conversations: `count(*)` of `marts.conversations`, by the day of `last_activity_at`, so that
  each is in one cell: "last active in the period";
- users: `count(distinct (source, end_user_id))` of those conversations;
- messages: `sum(message_count)` of those conversations;
- with a person: `count(*) filter (is_human_mode)` of those conversations;
- credits per conversation: `avg(cost_credit)` of those conversations;
- last active: the day of `max(last_activity_at)` of those conversations.

Where no conversation of a source has a counter, the source does not count, and the page shows
a dash for it instead of 0. Days are days of the time zone that the models were built in.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from pipelines import warehouse
from pipelines.errors import ConvoyError
from pipelines.report import queries

Row = dict[str, Any]
MOST_SIGHTINGS = 150_000
"""Users times their cells that are read; beyond, the page would outgrow its limit."""
NEWEST = 200
"""Conversations that are listed, newest first; the page shows 50 that match its filters."""


@dataclass(frozen=True)
class Users:
    """How users spread over cells: so many seen in one cell only, the others cell by cell."""

    single: dict[int, int]
    repeated: list[list[int]]


@dataclass(frozen=True)
class Published:
    """Everything that a report shows.

    `cells` are rows of day, source, bot_id, platform and measures, in the order in which `users`
    number them; `users` is None where there are too many to be told apart in a page. A bot is known
    by its id, one that has none yet by its configured name (`nameless`).
    """

    made_at: datetime
    time_zone: str
    made_on: date
    first: date
    last: date
    sources: list[Row]
    bots: list[Row]
    cells: list[Row]
    users: Users | None
    newest: list[Row]
    certificates: list[Row]
    rejected: int


def read(published: Path, *, days: int = 365, now: datetime | None = None) -> Published:
    """Read the last so many days, and how complete they are.

    Raises:
        ConvoyError: nothing is published yet, or no models are in it.
        WarehouseFailed: it can't be read.
    """
    if not published.exists():
        raise ConvoyError(
            f"there is no published file at {published} yet; "
            "run `convoy sync` or `convoy publish` first"
        )
    with warehouse.connect(published, read_only=True) as connection:
        if not _has_models(connection):
            raise ConvoyError(f"{published} holds no models yet; run `convoy sync` first")
        try:
            return _read(connection, days, now or datetime.now(UTC))
        except (duckdb.CatalogException, duckdb.BinderException):
            message = f"{published} is of another version of Convoy; run `convoy sync` first"
            raise ConvoyError(message) from None


def _read(connection: duckdb.DuckDBPyConnection, days: int, now: datetime) -> Published:
    zone = _one(connection, queries.TIME_ZONE)["time_zone"]
    period = _one(connection, queries.PERIOD, now=now, zone=zone, days=days)
    between = {"zone": zone, "first": period["first"], "last": period["last"]}
    connection.execute(queries.ENDED, between)
    connection.execute(queries.CELLS, {"first": period["first"], "last": period["last"]})
    connection.execute(queries.READINGS)
    return Published(
        made_at=now,
        time_zone=zone,
        **period,
        sources=_rows(connection, queries.SOURCES),
        bots=_rows(connection, queries.BOTS),
        cells=_rows(connection, queries.ALL_CELLS),
        users=_users(connection),
        newest=_rows(connection, queries.NEWEST, **between, most=NEWEST),
        certificates=_rows(connection, queries.CERTIFICATES, now=now),
        rejected=_one(connection, queries.REJECTED)["rejected"],
    )


def _users(connection: duckdb.DuckDBPyConnection) -> Users | None:
    connection.execute(queries.SIGHTINGS)
    if _one(connection, queries.REPEATED_SIGHTINGS)["n"] > MOST_SIGHTINGS:
        return None
    single = {row["cell"]: row["users"] for row in _rows(connection, queries.SINGLE)}
    return Users(single, [row["cells"] for row in _rows(connection, queries.REPEATED)])


def _has_models(connection: duckdb.DuckDBPyConnection) -> bool:
    return bool(_one(connection, queries.HAS_MODELS)["found"])


def _one(connection: duckdb.DuckDBPyConnection, sql: str, **parameters: object) -> Row:
    return _rows(connection, sql, **parameters)[0]


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, **parameters: object) -> list[Row]:
    found = connection.execute(sql, parameters)
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def scaled(amounts: list[Decimal]) -> tuple[int, list[int]]:
    """Return the fewest decimals that hold all amounts, and the amounts as whole numbers of it.

    Through their digits: arithmetic of Decimal rounds at 28 of them.
    """
    whole = [int(f"{amount:.10f}".replace(".", "")) for amount in amounts]
    scale = 10
    while scale and all(number % 10 == 0 for number in whole):
        whole = [number // 10 for number in whole]
        scale -= 1
    return scale, whole
