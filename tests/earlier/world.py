"""The world that warehouses of earlier releases were made of: always the same one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from project import ids

from pipelines.simulator import World

if TYPE_CHECKING:
    from collections.abc import Sequence

# A day that lies behind every clock on which this runs.
_FIRST_SYNC = datetime(2025, 6, 2, 12, tzinfo=UTC)
_SEED = 7


def begun() -> World:
    """Return it as the release met it first."""
    bots, chatbots = {"support": 60, "sales": 15}, {"website": 25}
    return World.seeded(_SEED, bots=bots, chatbots=chatbots, now=_FIRST_SYNC)


def go_on(world: World) -> None:
    """Let a day pass: what the release met in its second sync."""
    _pass(world, timedelta(days=1), chats=slice(5, 60, 7), gone=slice(3, 60, 40))


def go_further(world: World) -> None:
    """Let a week pass, after the release's last sync."""
    _pass(world, timedelta(days=7), chats=slice(2, 90, 9), gone=slice(8, 90, 50))


def _pass(world: World, time: timedelta, *, chats: slice, gone: slice) -> None:
    before = {name: ids(world, name) for name in world.accounts}
    world.advance(time, activity=False)
    for name, known in before.items():
        _happen(world, name, known[chats], known[gone])


def _happen(world: World, name: str, chats: Sequence[str], gone: Sequence[str]) -> None:
    for conversation in chats:
        world.chat(conversation)
    for _ in range(3):
        world.begin(name)
    for conversation in gone:
        world.delete(conversation)
