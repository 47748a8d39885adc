"""Reads all bots side by side in a background thread while the loader loads."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pipelines.errors import ApiError
from pipelines.jobs import BotName
from pipelines.reading import Reading

READY_ROWS = 100_000
"""Rows that may wait to be loaded; beyond it reading pauses."""


Job = Callable[[], AsyncIterator[Reading]]


@dataclass
class Progress:
    """How far a bot's reading is; `error` is why it stopped early."""

    rows: int = 0
    done: bool = False
    error: ApiError | None = None


class Reader:
    """Runs one job a bot; hands over what is ready, each bot's readings in their order.

    One bot's failure ends that bot's job and nothing else.
    """

    def __init__(self, jobs: Mapping[BotName, Job]) -> None:
        self._jobs = dict(jobs)
        self.progress = {name: Progress() for name in jobs}
        self._ready: list[tuple[BotName, Reading]] = []
        self._ready_rows = 0
        self._changed = threading.Condition()
        self._broken: BaseException | None = None
        self._loop = asyncio.new_event_loop()
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
        self._signal(self._cancel)
        self._thread.join()

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
        self._signal(self._room.set)
        return taken

    def _finished(self) -> bool:
        return all(progress.done for progress in self.progress.values())

    def _signal(self, call: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed: all is read
            self._loop.call_soon_threadsafe(call)

    def _cancel(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._all())
        except asyncio.CancelledError:
            pass
        except BaseException as bug:  # noqa: BLE001 - raised again in the thread that takes
            with self._changed:
                self._broken = bug
                self._changed.notify_all()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for name, job in self._jobs.items():
                group.create_task(self._one(name, job))

    async def _one(self, name: BotName, job: Job) -> None:
        progress = self.progress[name]
        try:
            async for reading in job():
                await self._hand_over(name, reading)
        except ApiError as error:
            progress.error = error
        with self._changed:
            progress.done = True
            self._changed.notify_all()

    async def _hand_over(self, name: BotName, reading: Reading) -> None:
        while self._ready_rows >= READY_ROWS:
            self._room.clear()
            await self._room.wait()
        with self._changed:
            self._ready.append((name, reading))
            self._ready_rows += len(reading.table)
            self.progress[name].rows += len(reading.table)
            self._changed.notify_all()
