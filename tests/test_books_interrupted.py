"""GPTBots' own books when they are not read to their end: a kill, and days that fail."""

from __future__ import annotations

import signal
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from project import bot

from pipelines import books
from pipelines.gptbots.books import CREDITED_DAYS
from pipelines.gptbots.windows import milliseconds
from pipelines.simulator import Faults

if TYPE_CHECKING:
    from collections.abc import Collection

    from conftest import MakeWorld, Simulate
    from project import Project

    from pipelines.simulator import Simulator
    from pipelines.simulator.wire import Request

ON = {"conversation_credits": True}


def days_asked(upstream: Simulator) -> list[str]:
    return [logged.params["start_time"] for logged in upstream.log if "credits" in logged.path]


def breaking(upstream: Simulator, *days_ago: int) -> None:
    """Let every request for the credits of these days fail."""
    today = upstream.world.now.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = {str(milliseconds(today - n * timedelta(days=1))) for n in days_ago}

    def choose(request: Request) -> None:
        broken = request.params.get("start_time") in starts
        upstream.faults = Faults(server_error=1.0 if broken else 0.0, only="/credits")

    upstream.on_request = choose


def held(project: Project) -> int:
    found = project.rows("from chat.sync_windows where kind = 'credits' and certified")
    return len(found)


def test_a_kill_loses_only_what_was_not_loaded_yet(
    project: Project, make_world: MakeWorld, simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream = simulate(make_world(bots={"support": 300}))
    project.configure(upstream, gptbots=ON)
    monkeypatch.setattr(books, "CHUNK_SECONDS", 0.0)

    def kill(_: Request) -> None:
        if len(days_asked(upstream)) == 10:
            upstream.on_request = None
            signal.raise_signal(signal.SIGINT)

    upstream.on_request = kill
    with pytest.raises(KeyboardInterrupt):
        project.sync()
    assert 8 <= held(project) <= 10
    assert project.count("conversation_credits") > 0
    assert project.rows("from chat.sync_windows where kind = 'history' and certified")
    before = held(project)
    upstream.clear_log()
    assert project.sync().complete
    assert len(days_asked(upstream)) == CREDITED_DAYS - before


@pytest.mark.parametrize(
    ("broken", "asked"), [((25,), (30, 5)), ((25, 20), (30, 6)), ((25, 24), (6, 26))]
)
def test_a_day_that_fails_blocks_no_other(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    broken: Collection[int],
    asked: tuple[int, int],
) -> None:
    upstream = simulate(make_world(bots={"support": 300}))
    project.configure(upstream, gptbots=ON)
    breaking(upstream, *broken)
    outcome = project.sync(patience=0.5)
    failures = bot(outcome, "support").failures
    assert len(failures) == len(broken)
    assert len({*days_asked(upstream)}) == asked[0]
    upstream.on_request, upstream.faults = None, Faults()
    upstream.clear_log()
    assert project.sync().complete
    assert len(days_asked(upstream)) == asked[1]
