"""Ways in which an upstream behaves, and what reads it without a warehouse."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import product
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from pipelines.budget import Budget
from pipelines.connections import Connections
from pipelines.gptbots.api import GptbotsApi
from pipelines.http import Client, Key
from pipelines.okchat.api import OkchatApi
from pipelines.okchat.scan import Sweep
from pipelines.simulator import Knobs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pipelines.simulator import Request, Simulator, World

T = TypeVar("T")

_OPEN_QUESTIONS: dict[str, tuple[Any, ...]] = {
    "order": ("newest_first", "oldest_first", "unordered"),
    "total": ("window", "page"),
    "past_end": ("empty", "error"),
    "start_inclusive": (True, False),
    "end_inclusive": (True, False),
    "error_status": (200, 400),
}
EVERY_WAY = [
    Knobs(**dict(zip(_OPEN_QUESTIONS, answers, strict=True)))
    for answers in product(*_OPEN_QUESTIONS.values())
]
"""Every answer to what is not known of GPTBots' list."""


def chatting(world: World, name: str, times: int = 60) -> Callable[[Request], None]:
    """Return a hook: before some answers a conversation goes on and another begins."""
    rng = Random(3)  # noqa: S311 - the same drift each time
    left = iter(range(times))

    def hook(request: Request) -> None:
        if request.bot == name and rng.random() < 0.3 and next(left, None) is not None:
            world.advance(timedelta(milliseconds=1), activity=False)
            rows = world.accounts[name].timeline.rows()
            world.chat(rng.choice(rows).conversation_id)
            world.begin(name)

    return hook


def with_gptbots(upstream: Simulator, name: str, run: Callable[[GptbotsApi], Awaitable[T]]) -> T:
    """Run something with the API of a bot."""
    key = Key("Authorization", f"Bearer {upstream.world.accounts[name].key}")
    return _with_client(upstream, key, lambda client: run(GptbotsApi(client, name)))


def with_okchat(
    upstream: Simulator, name: str, run: Callable[[OkchatApi], Awaitable[T]], size: int = 100
) -> T:
    """Run something with the API of a chatbot."""
    account = upstream.world.accounts[name]
    key, names = Key("x-api-key", account.key), ("page", "limit")
    return _with_client(
        upstream, key, lambda client: run(OkchatApi(client, name, account.id, size, names))
    )


def swept(upstream: Simulator, name: str, size: int = 100) -> set[str]:
    """Sweep a chatbot once and return the ids of all that was read."""

    async def run(api: OkchatApi) -> set[str]:
        readings = [reading async for reading in Sweep(api.page).read()]
        return {found for r in readings for found in r.table["conversation_id"].to_pylist()}

    return with_okchat(upstream, name, run, size)


def _with_client(upstream: Simulator, key: Key, run: Callable[[Client], Awaitable[T]]) -> T:
    async def main() -> T:
        with Connections(4) as connections:
            client = Client(upstream.url, key, "bot", Budget(50_000), connections, 20.0)
            return await run(client)

    return asyncio.run(main())
