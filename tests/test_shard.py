from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from project import assert_equal_to_truth
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.cursor import stored_cursors
from pipelines.shard import Shard
from pipelines.sync import sync
from pipelines.warehouse import connect

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate
    from project import Project

BOTS = {f"bot{n}": 30 for n in range(6)}


def test_shards_share_the_bots_of_a_file_one_after_the_other(
    make_world: MakeWorld, simulate: Simulate, project: Project
) -> None:
    world = make_world(bots=BOTS)
    upstream = simulate(world)
    project.configure(upstream)
    asked: set[str] = set()
    for number in (1, 2):
        settings = project.settings().model_copy(update={"shard": Shard(number, 2)})
        outcome = sync(settings, models=False)
        assert outcome.complete
        assert outcome.bots
        names = {name.bot for name in outcome.bots}
        assert not names & asked
        asked |= names
    assert asked == BOTS.keys()
    assert_equal_to_truth(project, world)
    with connect(project.warehouse, read_only=True) as connection:
        assert {bot for _, bot in stored_cursors(connection)} == BOTS.keys()
    assert project.sync().rows_loaded == 0


@pytest.mark.parametrize("text", ["0/4", "5/4", "four"])
def test_what_is_no_shard_ends_with_2(
    text: str, make_world: MakeWorld, simulate: Simulate, project: Project
) -> None:
    project.configure(simulate(make_world(bots={"support": 1})))
    done = CliRunner().invoke(app, ["sync", "--shard", text])
    assert done.exit_code == 2
    assert not project.warehouse.exists()
