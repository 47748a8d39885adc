"""The tour of questions: its page read into blocks, and the world that its answers are about."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from rich.console import Console

from pipelines import output, query
from pipelines.simulator import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pytest

REWRITE = "CONVOY_REWRITE_DOCS"
"""Set, the outputs on the page are written anew instead of compared."""

_FIRST_SYNC = datetime(2025, 3, 3, 6, tzinfo=UTC)  # a Monday
_BLOCK = re.compile(
    r"^## (?P<title>.+?)\n.*?```sql\n(?P<sql>.*?)```\n\n```\n(?P<output>.*?)```",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Question:
    """A section of the page: what is asked, its SQL, and the output that the page claims."""

    title: str
    sql: str
    output: str
    start: int
    end: int


def questions(page: str) -> list[Question]:
    """Read the page; `start` and `end` are where the output stands."""
    return [
        Question(found["title"], found["sql"], found["output"], *found.span("output"))
        for found in _BLOCK.finditer(page)
    ]


def rewritten(page: str, said: Mapping[str, str]) -> str:
    """Return the page with every output replaced by what was said."""
    for question in reversed(questions(page)):  # from the end, so that the places stay right
        page = page[: question.start] + said[question.title] + page[question.end :]
    return page


def printed(warehouse: Path, sql: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what `convoy query` prints into a pipe, without the blanks at the ends of lines."""
    said = io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(output, "out", Console(file=said, highlight=False, width=1_000))
        output.rows(query.run(warehouse, sql), "table", None)
    return "".join(f"{line.rstrip()}\n" for line in said.getvalue().splitlines())


def world() -> World:
    """A month of two bots and a chatbot, the same to the last digit whenever it is made."""
    return World.seeded(
        7,
        bots={"support": 240, "sales": 90},
        chatbots={"website": 110},
        start=_FIRST_SYNC - timedelta(days=30),
        now=_FIRST_SYNC,
    )


def days(living: World) -> Iterator[None]:
    """Let two days pass, a sync due after each; on the second some history changes as well."""
    living.advance(timedelta(days=1))
    yield
    living.advance(timedelta(days=1))
    deleted, *charged = sorted(_quiet(living), reverse=True)[:3]
    living.delete(deleted[1])
    for credits_, conversation in charged:  # the user is back, and some credits are given back
        living.chat(conversation, cost_credit=credits_ - Decimal("0.35"))
    yield


def _quiet(living: World) -> Iterator[tuple[Decimal, str]]:
    """Yield the counters of the conversations without activity since the first sync."""
    for row in living.truth("gptbots"):
        if int(str(row["recent_chat_time"])) < _FIRST_SYNC.timestamp() * 1000:
            yield Decimal(str(row["cost_credit"])), str(row["conversation_id"])
