"""Rows are deleted ahead of the reader: what overlapping pages are for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest
from upstream import swept, with_okchat

from pipelines.simulator import Knobs, Simulator, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.okchat.api import OkchatApi
    from pipelines.simulator import Request

WAYS = (Knobs(okchat_order="created_desc"), Knobs(okchat_order="updated_desc"))


def shrinking(world: World, seed: int) -> Callable[[Request], None]:
    """Return a hook: before half of the answers some conversations vanish, others go on."""
    rng = Random(seed)  # noqa: S311 - the same drift each time
    left = iter(range(12))

    def hook(_request: Request) -> None:
        if rng.random() < 0.5 and next(left, None) is not None:
            world.advance(timedelta(seconds=1), activity=False)
            for _ in range(rng.choice((1, 1, 3))):
                rows = world.accounts["web"].timeline.rows()
                vanishes, goes_on = rng.sample(rows, 2)
                world.delete(vanishes.conversation_id)
                world.chat(goes_on.conversation_id)
            if rng.random() < 0.3:
                world.begin("web")

    return hook


def plainly(upstream: Simulator, name: str, size: int) -> set[str]:
    """Read pages forward up to an empty one, then the head again; return the ids."""

    async def run(api: OkchatApi) -> set[str]:
        found: set[str] = set()
        number = 1
        while marks := (await api.page(number)).marks:
            found |= {row for row, _ in marks}
            number += 1
        return found | {row for row, _ in (await api.page(1)).marks}

    return with_okchat(upstream, name, run, size)


def runs_with_losses(read: Callable[[Simulator, str, int], set[str]], runs: int) -> int:
    """Count the runs in which something that exists at the end was not read."""
    lost = 0
    for seed in range(runs):
        world = World.seeded(seed, chatbots={"web": 80})
        with Simulator(world, WAYS[seed % 2]) as upstream:
            upstream.on_request = shrinking(world, seed)
            found = read(upstream, "web", 10)
        lost += not {str(row["id"]) for row in world.truth("okchat")} <= found
    return lost


@pytest.mark.parametrize("runs", [30, pytest.param(300, marks=pytest.mark.long)])
def test_a_sweep_loses_nothing_where_plain_pages_do(runs: int) -> None:
    assert runs_with_losses(swept, runs) == 0
    assert runs_with_losses(plainly, runs) > runs // 2


@pytest.mark.parametrize("runs", [10, pytest.param(100, marks=pytest.mark.long)])
def test_a_sweep_loses_nothing_in_chaos(runs: int) -> None:
    """What begins in chaos may stand below the head: the instants of some are cut."""
    for seed in range(runs):
        world = World.seeded(seed, chatbots={"web": 80})
        before = {str(row["id"]) for row in world.truth("okchat")}
        with Simulator(world, replace(WAYS[seed % 2], chaos=0.7)) as upstream:
            found = swept(upstream, "web", 10)
        assert before & {str(row["id"]) for row in world.truth("okchat")} <= found
