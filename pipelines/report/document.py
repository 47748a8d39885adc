"""The published data as the JSON document that the page computes with; pure.

Bots, platforms and their pairs (`series`) are numbered; a cell is a day and a series. Cells come
day by day, so many a day, and say their series as the step from the cell before. Credits are
whole numbers of 10^-scale in one text, because they may exceed what a JavaScript number holds
exactly.
"""

from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from pipelines.report.data import Published, Row, Users, scaled
from pipelines.report.texts import plain

Document = dict[str, Any]
_NAMES = {"gptbots": "GPTBots", "okchat": "OKChat"}
_LONGEST_NAME = 48
_LATE = 86_400
"""Seconds after which a complete reading is called old."""


def document(published: Published) -> Document:
    """Return what is embedded in the page; every text in it is plain."""
    sources = [row["source"] for row in published.sources]
    sources += sorted({row["source"] for row in published.bots} - set(sources))
    platforms = _platforms(published)
    numbers = _Numbers(sources, published.bots, platforms)
    cells = _cells(published, numbers)
    return {
        "made": _moment(published.made_at),
        "zone": published.time_zone,
        "today": (published.made_on - published.first).days,
        "first": published.first.isoformat(),
        "days": (published.last - published.first).days + 1,
        "sources": [_source(name, published.sources) for name in sources],
        "bots": _bots(published.bots, sources),
        "platforms": [plain(name, _LONGEST_NAME) or "unknown" for name in platforms],
        "newest": [_conversation(row, published.first, numbers) for row in published.newest],
        "certificates": [_certificate(row, numbers) for row in published.certificates],
        "rejected": published.rejected,
        "users": _users(published.users),
        "cells": cells,
        "series": numbers.series,  # after the cells and conversations that number them
    }


class _Numbers:
    """Numbers of bots and platforms, and of their pairs as they come."""

    def __init__(self, sources: list[str], bots: list[Row], platforms: list[str]) -> None:
        self.sources = {name: i for i, name in enumerate(sources)}
        self._bots = {_identity(row): i for i, row in enumerate(bots)}
        self._platforms = {name: i for i, name in enumerate(platforms)}
        self._known: dict[tuple[int, int], int] = {}

    def bot(self, row: Row) -> int:
        return self._bots[_identity(row)]

    def of(self, row: Row) -> int:
        pair = self.bot(row), self._platforms[row["platform"]]
        return self._known.setdefault(pair, len(self._known))

    @property
    def series(self) -> list[tuple[int, int]]:
        return list(self._known)


def _identity(row: Row) -> tuple[str, str | None, str | None]:
    return row["source"], row["bot_id"], row.get("nameless")


def _platforms(published: Published) -> list[str]:
    """Return the platforms, where most was spent first: the page's colours go by this order."""
    weight: dict[str, tuple[Decimal, int]] = defaultdict(lambda: (Decimal(), 0))
    for row in published.cells:
        credits_, conversations = weight[row["platform"]]
        weight[row["platform"]] = (
            credits_ + row["credits"],
            conversations + row["conversations"],
        )
    return sorted(weight, key=lambda name: (-weight[name][0], -weight[name][1], name))


def _source(name: str, rows: list[Row]) -> Document:
    found: Row = next((row for row in rows if row["source"] == name), {})
    flags = ("counts_credits", "counts_messages", "counts_people")
    shown = _NAMES.get(name, plain(name, _LONGEST_NAME))
    return {"name": shown, **{flag: found.get(flag, False) for flag in flags}}


def _bots(rows: list[Row], sources: list[str]) -> list[Document]:
    """Return the bots; of two with one name in a source, each shows its id too."""
    names = Counter((row["source"], row["bot"]) for row in rows)
    return [
        {
            "source": sources.index(row["source"]),
            "name": _bot_name(row, alone=names[row["source"], row["bot"]] == 1),
        }
        for row in rows
    ]


def _bot_name(row: Row, *, alone: bool) -> str:
    identity = plain(row["bot_id"], 14) or "no id"
    name = plain(row["bot"], _LONGEST_NAME)
    if not name:
        return f"unnamed ({identity})"
    return name if alone else f"{name} ({identity})"


def _cells(published: Published, numbers: _Numbers) -> Document:
    rows = published.cells
    a_day = Counter(row["day"] for row in rows)
    days = (published.last - published.first).days + 1
    counters = [row["counters"] - row["credits"] for row in rows]
    amounts = [row["credits"] for row in rows] + counters
    scale, whole = scaled(amounts)
    single = published.users.single if published.users else {}
    names = ("conversations", "counted", "messages", "with_a_person")
    return {
        "scale": scale,
        "a_day": [a_day[published.first + timedelta(days=day)] for day in range(days)],
        "series": _steps([numbers.of(row) for row in rows]),
        "credits": " ".join(map(str, whole[: len(rows)])),
        # The counters' sums, less the credits booked: nearly all of them 0, which is short.
        "counters": " ".join(map(str, whole[len(rows) :])),
        **{name: [row[name] for row in rows] for name in names},
        "single_users": [single.get(row["cell"], 0) for row in rows],
    }


def _users(users: Users | None) -> str | None:
    """Return the users of several cells: steps from cell to cell, a semicolon between users."""
    if users is None:
        return None
    return ";".join(" ".join(map(str, _steps(cells))) for cells in users.repeated)


def _conversation(row: Row, first: date, numbers: _Numbers) -> list[object]:
    credits_ = None if row["credits"] is None else f"{row['credits']:f}"
    day = (row["day"] - first).days
    return [day, row["at"], numbers.of(row), plain(row["subject"]), row["messages"], credits_]


def _certificate(row: Row, numbers: _Numbers) -> Document:
    moments = ("newest_activity_at", "last_sync_at", "last_complete_sync_at")
    return {
        "source": numbers.sources[row["source"]],
        "bot": numbers.bot(row),
        **{name: _moment(row[name]) for name in moments},
        "lag": _lag(row["lag_seconds"]),
        "late": (row["lag_seconds"] or 0) > _LATE,
        "given_up": bool(row["given_up"]),
        "certified": row["certified"],
        "evidence": plain(row["evidence"], 300),
        "rejected": row["rejected"],
    }


def _moment(at: datetime | None) -> str | None:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else None


def _lag(seconds: int | None) -> str | None:
    """Say a span in its largest unit, cut: 119 minutes are one hour."""
    if seconds is None:
        return None
    span = timedelta(seconds=max(seconds, 0))
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        number = int(span.total_seconds()) // length
        if number:
            return f"{number} {unit}{'s' if number > 1 else ''}"
    return "less than a minute"


def _steps(numbers: list[int]) -> list[int]:
    return [b - a for a, b in pairwise([0, *numbers])]
