"""Never more than the budget of a key, as the server counts; and what a faulty server costs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from project import assert_equal_to_truth

from pipelines import budget
from pipelines.simulator import Faults, Knobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conftest import MakeWorld, Simulate
    from project import Project

    from pipelines.simulator import Logged

ROOT = Path(__file__).parent.parent
MINUTE = 1.5
"""Seconds that a minute lasts here."""
PER_MINUTE = 6
LONGER = 10.0
"""The same for processes of their own, which take seconds to start."""
SYNC = f"""
from pipelines import budget, cli
budget.MINUTE = {LONGER}
cli.main()
"""


@pytest.fixture
def short_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MINUTE", MINUTE)


def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut a backfill into many windows, which are read side by side."""
    monkeypatch.setattr("pipelines.jobs.WINDOW_ROWS", 200)
    monkeypatch.setattr("pipelines.jobs._SMALLEST_WINDOW", 200)


def most_in_a_minute(log: Sequence[Logged], name: str, minute: float = MINUTE) -> int:
    """The most requests of a bot in any minute, as the server saw them arrive."""
    times = sorted(logged.at for logged in log if logged.bot == name)
    # A thousandth less: between processes goes the wall clock, and that is sometimes slewed.
    return max(bisect_left(times, t + minute * 0.999) - i for i, t in enumerate(times))


def syncing(project: Project) -> subprocess.Popen[bytes]:
    """Start a sync in a process of its own, in which a minute is as short."""
    command = [sys.executable, "-c", SYNC, "sync", "--no-models"]
    return subprocess.Popen(  # noqa: S603 - Python, and a program of our own
        command, cwd=project.folder, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


@pytest.mark.usefixtures("short_minute")
def test_a_backfill_of_many_windows_keeps_to_the_budget(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small_windows(monkeypatch)
    world = make_world(bots={"support": 900})
    upstream = simulate(world)
    project.configure(upstream, gptbots={"requests_per_minute": PER_MINUTE})
    assert project.sync().complete
    assert len(upstream.log) > 2 * PER_MINUTE
    assert most_in_a_minute(upstream.log, "support") == PER_MINUTE
    assert_equal_to_truth(project, world)


@pytest.mark.usefixtures("short_minute")
def test_each_key_has_a_budget_of_its_own(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    bots = {"support": 900, "sales": 900}
    upstream = simulate(make_world(bots=bots, chatbots={"web": 900}))
    budgets = {"requests_per_minute": PER_MINUTE}
    project.configure(upstream, gptbots=budgets, okchat=budgets)
    assert project.sync().complete
    for name in (*bots, "web"):
        assert most_in_a_minute(upstream.log, name) == PER_MINUTE


@pytest.mark.usefixtures("short_minute")
def test_each_try_counts(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small_windows(monkeypatch)
    upstream = simulate(make_world(bots={"support": 500}))
    upstream.faults = Faults(server_error=0.2, reset=0.1, cut_json=0.1)
    project.configure(upstream, gptbots={"requests_per_minute": PER_MINUTE})
    assert project.sync().complete
    assert any(logged.fault for logged in upstream.log)
    assert most_in_a_minute(upstream.log, "support") == PER_MINUTE


@pytest.mark.parametrize("dies", [False, True], ids=["ended", "killed"])
def test_two_processes_share_a_minute(
    project: Project, make_world: MakeWorld, simulate: Simulate, *, dies: bool
) -> None:
    world = make_world(bots={"support": 800})
    upstream = simulate(world, Knobs(latency=0.1))
    project.configure(upstream, gptbots={"requests_per_minute": 16})
    first = syncing(project)
    while dies and len(upstream.log) < 8:
        assert first.poll() is None
        time.sleep(0.01)
    if dies:
        first.kill()
    assert first.wait() == (-signal.SIGKILL if dies else 0)
    project.warehouse.unlink(missing_ok=True)
    assert syncing(project).wait() == 0
    assert len(upstream.log) > 16
    assert most_in_a_minute(upstream.log, "support", LONGER) <= 16
    assert_equal_to_truth(project, world)


MIXED = {
    "rate_limited": 0.03, "rate_limited_seconds": 0.01, "rate_limited_date": 0.01,
    "server_error": 0.03, "reset": 0.02, "truncated": 0.02, "cut_json": 0.02, "not_json": 0.02,
    "slow": 0.02, "empty_body": 0.02,
}  # fmt: skip


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 6))]
)
def test_a_fifth_of_all_requests_may_fail(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    small_windows(monkeypatch)
    world = make_world(bots={"support": 3000, "sales": 1000}, chatbots={"web": 600})
    upstream = simulate(world)
    project.configure(upstream)
    assert project.sync().complete
    faultless = len(upstream.log)
    project.warehouse.unlink()
    upstream.clear_log()
    upstream.faults = Faults(**MIXED, seed=seed, slow_seconds=0.05)  # type: ignore[arg-type]
    assert project.sync().complete
    assert_equal_to_truth(project, world)
    faulty = sum(logged.fault is not None for logged in upstream.log)
    assert len(upstream.log) / 10 < faulty
    assert len(upstream.log) <= 2 * faultless
