"""Syncs killed with SIGKILL at random moments, over and over: the next puts everything right."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest
from killing import Run
from project import Project
from sound import (
    assert_models_right,
    assert_published,
    assert_published_whole,
    assert_right,
    assert_sound,
    marts,
    orphans,
)

from pipelines.simulator import Simulator, World

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PHASES = [
    "start", "read", *["extract", "normalize"] * 4, *["load"] * 6, *["models"] * 2,
    *["publish"] * 2,
]  # fmt: skip
"""Where twenty kills are aimed at."""
PROJECTS = 10
ONE_AT_A_TIME = threading.Lock()
"""Held by whoever syncs within this process, which has only one working directory."""


class Victim:
    """A project whose syncs are killed; its upstream goes on between them."""

    def __init__(self, folder: Path, seed: int) -> None:
        (folder / ".dlt").mkdir(parents=True)
        self.project = Project(folder)
        self.rng = Random(seed)  # noqa: S311 - the same news each time
        now = datetime.now(UTC) - timedelta(days=2)
        self.world = World.seeded(seed, bots={"support": 230}, chatbots={"web": 130}, now=now)
        self._orphans: set[str] = set()

    def kill(self, upstream: Simulator, phase: str, *arguments: str) -> str:
        """Kill a sync, see that what it leaves can be relied on; return where it was."""
        self._go_on()
        self.project.configure(upstream)
        before = marts(self.project)
        where = Run(self.project, upstream, *arguments).kill_in(phase, self.rng)
        assert_sound(self.project, self.world)
        assert marts(self.project) >= before
        assert_published_whole(self.project)
        return where

    def mend(self, where: str) -> None:
        """Sync within this process, see that all is right."""
        with ONE_AT_A_TIME, contextlib.chdir(self.project.folder):
            outcome = self.project.sync()
        assert outcome.complete, [bot.error for bot in outcome.bots.values()]
        self._assert_right(where)

    def mend_as_a_user(self, upstream: Simulator, where: str) -> None:
        """Sync in a process of its own, models and all, see that all is right."""
        Run(self.project, upstream).end()
        self._assert_right(where)
        assert_models_right(self.project)
        assert_published(self.project)

    def _assert_right(self, where: str) -> None:
        assert_right(self.project, self.world)
        # A load that is killed late leaves a state whose load stands nowhere in _dlt_loads. It is
        # not counted as a cursor, so it does no harm; nothing but such a load leaves any.
        found = orphans(self.project)
        assert len(found - self._orphans) <= (where == "load"), where
        self._orphans |= found

    def _go_on(self) -> None:
        """Let conversations of one API or both begin, go on, settle late; at times add a bot."""
        world, rng = self.world, self.rng
        world.advance(timedelta(minutes=3))
        if len(world.accounts) < 4 and rng.random() < 0.2:
            world.add_bot(f"bot{len(world.accounts)}", 120)
        apis = rng.choice((["gptbots"], ["okchat"], ["gptbots", "okchat"]))
        for name, account in world.accounts.items():
            if account.api in apis:
                self._chat_in(name)

    def _chat_in(self, name: str) -> None:
        world, rng, account = self.world, self.rng, self.world.accounts[name]
        world.tie(name, rng.randint(1, 3))
        for row in rng.sample(account.timeline.rows(), 5):
            world.chat(row.conversation_id)
            world.advance(timedelta(seconds=1), activity=False)
            if account.api == "gptbots" and rng.random() < 0.5:
                world.settle(row.conversation_id)


def kill_and_mend(folder: Path, seed: int, phases: Sequence[str]) -> Counter[str]:
    """Kill one sync in each phase, the next put it right; count where they really were.

    After every tenth it is a process of its own that syncs and builds the models; it finds
    nothing new where the killed one was at its models.
    """
    victim, counts = Victim(folder, seed), Counter[str]()
    with Simulator(victim.world) as upstream:
        for number, phase in enumerate(phases, start=1):
            where = victim.kill(upstream, phase)
            if number % 10:
                victim.mend(where)
            else:
                victim.mend_as_a_user(upstream, where)
            counts[where] += 1
    return counts


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))


def test_a_sync_puts_right_what_killed_ones_left(tmp_path: Path) -> None:
    victim = Victim(tmp_path / "project", 1)
    with Simulator(victim.world) as upstream:
        for phase in ("load", "start", "read", "extract", "normalize", "load"):
            victim.mend(victim.kill(upstream, phase, "--no-models"))


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_sync_puts_right_what_two_hundred_killed_ones_left(tmp_path: Path) -> None:
    def of_one_project(seed: int) -> Counter[str]:
        phases = PHASES.copy()
        Random(seed).shuffle(phases)  # noqa: S311 - the same order each time
        return kill_and_mend(tmp_path / str(seed), seed, phases)

    with ThreadPoolExecutor(2) as pool:
        counts = sum(pool.map(of_one_project, range(PROJECTS)), Counter[str]())
    assert sum(counts.values()) == PROJECTS * len(PHASES)
    assert all(
        counts[phase] > 5
        for phase in ("start", "extract", "normalize", "load", "models", "publish")
    ), counts
