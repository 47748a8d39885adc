from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from project import assert_equal_to_truth, ids

from pipelines.errors import WarehouseBusy
from pipelines.postgres.lock import held
from pipelines.postgres.server import Server as Place

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate

    from postgres.server import PostgresProject

TESTS = Path(__file__).parent.parent
TABLES = ("conversations", "last_messages", "conversation_changes", "_dlt_pipeline_state")


def run(project: PostgresProject, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a user does, in the project's folder."""
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, *command],
        cwd=project.folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS), *sys.path]),
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
@pytest.mark.parametrize("table", TABLES)
def test_a_sync_that_is_killed_in_the_load_of_a_table_is_made_good(
    table: str, make_world: MakeWorld, simulate: Simulate, project: PostgresProject
) -> None:
    world = make_world(bots={"support": 230}, chatbots={"website": 120})
    project.configure(simulate(world))
    for _ in range(2):  # a first load, and one on top
        world.advance(timedelta(seconds=1), activity=False)
        for name in world.accounts:
            world.chat(ids(world, name)[-1])
            world.begin(name)
        killed = run(project, str(TESTS / "postgres" / "killed.py"), table)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert project.sync().complete
        assert_equal_to_truth(project, world)


def test_the_second_of_two_syncs_ends_with_75_wherever_it_runs(
    make_world: MakeWorld, simulate: Simulate, project: PostgresProject
) -> None:
    world = make_world(bots={"support": 30})
    project.configure(simulate(world))
    place = project.settings().warehouse
    assert isinstance(place, Place)
    with held(place):  # as another machine does: no file of this one tells
        second = run(project, "-m", "pipelines", "sync", "--no-models")
        assert (second.returncode, second.stdout) == (75, "")
        assert second.stderr.startswith("convoy: another sync holds postgresql://convoy@127.0.0.1")
        assert not project.rows("select 1 from pg_namespace where nspname = 'chat'")
        with pytest.raises(WarehouseBusy), held(place):
            pass
    assert project.sync().complete
    assert_equal_to_truth(project, world)


def test_what_a_dead_sync_held_is_free(project: PostgresProject) -> None:
    program = (
        "import os; from pipelines import settings; from pipelines.lock import locked\n"
        "with locked(settings.load(need_bots=False)): os.kill(os.getpid(), 9)"
    )
    project.place()
    assert run(project, "-c", program).returncode == -signal.SIGKILL
    project.await_alone()
    place = project.settings(need_bots=False).warehouse
    assert isinstance(place, Place)
    with held(place):
        pass
