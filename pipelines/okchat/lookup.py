"""Asks for conversations one by one: those that are known here but were not seen in a list."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pipelines.interpret import Interpreted
from pipelines.okchat.api import Page, read_rows
from pipelines.okchat.handover import certificate
from pipelines.reading import Reading

One = Callable[[str], Awaitable[Page | None]]
"""Ask for one conversation by its id; None where the answer is a 404."""
Alive = Callable[[], Awaitable[object]]
"""Ask for something that only a chatbot that is still there has; raises where it is not."""


@dataclass(frozen=True)
class Found:
    """What was found, and the ids of what is gone; the reading names these too."""

    reading: Reading
    gone: list[str]


@dataclass(frozen=True)
class Answers:
    """The rows of what was found, the ids of what is gone, and what that took."""

    rows: Interpreted
    gone: list[str]
    requests: int
    evidence: str


class Lookup:
    """Asks for conversations by their ids, several at once."""

    def __init__(self, one: One, alive: Alive, at_once: int = 8) -> None:
        self._one = one
        self._alive = alive
        self._at_once = at_once

    async def read(self, ids: Sequence[str]) -> Found:
        """Ask for each, as `ask` does."""
        started_at = datetime.now(UTC)
        found = await self.ask(ids)
        rows = found.rows
        done = certificate("lookup", rows, found.requests, found.evidence, started_at)
        gone = tuple(found.gone)
        return Found(Reading(rows.table, rows.rejected, done, gone=gone), found.gone)

    async def ask(self, ids: Sequence[str]) -> Answers:
        """Ask for each.

        Raises:
            ApiError: an answer is missing, or the chatbot itself is gone: then its 404s say
                nothing about conversations, and none of them counts.
        """
        answers = await self._all(dict.fromkeys(ids))
        gone = [name for name in dict.fromkeys(ids) if answers[name] is None]
        if gone:  # only now: it must have been there after the last 404
            await self._alive()
        found = [page for page in answers.values() if page]
        evidence = f"asked one by one: {len(found)} found, {len(gone)} gone"
        return Answers(read_rows(found), gone, len(answers) + bool(gone), evidence)

    async def _all(self, ids: Iterable[str]) -> dict[str, Page | None]:
        """Let some workers ask for one after another."""
        left, answers = iter(ids), dict[str, Page | None]()

        async def work() -> None:
            for name in left:
                answers[name] = await self._one(name)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._at_once):
                    group.create_task(work())
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return answers
