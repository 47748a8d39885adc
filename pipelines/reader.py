"""Reads all bots side by side in a background thread while the loader loads."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self, TypeVar

import pyarrow.compute as pc

from pipelines.errors import ApiError
from pipelines.jobs import BotName
from pipelines.reading import Reading

READY_ROWS = 50_000
"""Rows that may wait to be loaded, no fewer than are taken at once; beyond it reading pauses."""


T = TypeVar("T")
Job = Callable[[], AsyncIterator[Reading]]
Question = Callable[[], Awaitable[T]]


@dataclass
class Progress:
    """How far a bot's reading is: conversations so far; `error` is why it stopped early."""

    rows: int = 0
    done: bool = False
    error: ApiError | None = None


class Reader:
    """Runs jobs, one a bot, and hands over what is ready, each bot's readings in their order.

    One bot's failure ends that bot's job and nothing else.
    """

    def __init__(self) -> None:
        self.progress: dict[BotName, Progress] = {}
        self._ready: list[tuple[BotName, Reading]] = []
        self._ready_rows = 0
        self._changed = threading.Condition()
        self._broken: BaseException | None = None
        self._loop = asyncio.SelectorEventLoop()
        self._room = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def start(self, jobs: Mapping[BotName, Job]) -> None:
        """Start jobs; their readings are taken until there are none any more."""
        for name, job in jobs.items():
            self.progress[name] = replace(self.progress.get(name, Progress()), done=False)
            asyncio.run_coroutine_threadsafe(self._one(name, job), self._loop)

    def ask(self, questions: Mapping[BotName, Question[T]]) -> dict[BotName, T]:
        """Ask something of several bots at once; one that fails has its error in `progress`."""
        asked = {
            name: asyncio.run_coroutine_threadsafe(self._answer(name, question), self._loop)
            for name, question in questions.items()
        }
        answers = {name: future.result() for name, future in asked.items()}
        return {name: answer for name, answer in answers.items() if answer is not None}

    def take(
        self, rows: int, seconds: float, waiting: Callable[[], None] = lambda: None
    ) -> list[tuple[BotName, Reading]]:
        """Wait until so many rows are ready, so much time has passed or all is read.

        Meanwhile `waiting` is called, about ten times a second.

        Returns:
            What is ready, none only when all is read and taken.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self._broken and not self._finished() and self._ready_rows < rows:
                self._changed.wait(min(0.1, max(0.01, deadline - time.monotonic())))
                waiting()
                if self._ready and time.monotonic() >= deadline:
                    break
            if self._broken:
                raise self._broken
            taken, self._ready, self._ready_rows = self._ready, [], 0
        self._loop.call_soon_threadsafe(self._room.set)
        return taken

    def _finished(self) -> bool:
        return all(progress.done for progress in self.progress.values())

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(_cancel())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(_cancel())  # what closing the generators left
        finally:
            self._loop.close()

    async def _one(self, name: BotName, job: Job) -> None:
        try:
            async for reading in job():
                await self._hand_over(name, reading)
        except ApiError as error:
            self.progress[name].error = error
        except Exception as bug:  # noqa: BLE001 - raised again in the thread that takes
            self._broken = bug
        with self._changed:
            self.progress[name].done = True
            self._changed.notify_all()

    async def _answer(self, name: BotName, question: Question[T]) -> T | None:
        try:
            return await question()
        except ApiError as error:
            self.progress[name].error = error
            return None

    async def _hand_over(self, name: BotName, reading: Reading) -> None:
        while self._ready_rows >= READY_ROWS:
            self._room.clear()
            await self._room.wait()
        with self._changed:
            self._ready.append((name, reading))
            self._ready_rows += len(reading.table)
            # Pages repeat rows; whoever looks on wants to know how many conversations it is.
            self.progress[name].rows += pc.count_distinct(reading.table["conversation_id"]).as_py()
            self._changed.notify_all()


async def _cancel() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
