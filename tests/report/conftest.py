"""What the tests of the report start from: a published file."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from project import Project

from pipelines.publish import publish
from pipelines.simulator import Simulator, World
from pipelines.sync import build_models
from report.published import spoil

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two GPTBots bots and a chatbot, synced twice, with hostile texts among them."""
    folder = tmp_path_factory.mktemp("published")
    (folder / ".dlt").mkdir()
    now = datetime.now(UTC) - timedelta(hours=49)
    world = World.seeded(
        7,
        bots={"support": 700, "sales": 300},
        chatbots={"website": 200},
        start=now - timedelta(days=100),
        now=now,
    )
    project = Project(folder)
    with Simulator(world) as upstream, contextlib.chdir(folder):
        project.configure(upstream)
        assert project.sync().complete
        world.advance(timedelta(hours=48))
        assert project.sync().complete  # now the counters are not all of one day
        spoil(project.warehouse)
        build_models(project.settings())
        return publish(project.settings()).path
