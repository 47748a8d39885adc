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

from pipelines.errors import WarehouseBusy, WarehouseFailed
from pipelines.postgres.destination import CopyJob
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


def lose_the_lock(project: PostgresProject) -> None:
    """Cut the connection that holds the database, if one does."""
    cut = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'"
    project.server.ask(project.database, cut)


def test_a_sync_whose_lock_is_lost_writes_no_more(
    make_world: MakeWorld, simulate: Simulate, project: PostgresProject
) -> None:
    world = make_world(bots={"support": 30})
    upstream = simulate(world)
    project.configure(upstream)
    assert project.sync().complete
    counts = project.counts()
    world.advance(timedelta(minutes=3))
    world.chat(ids(world, "support")[-1])
    upstream.on_request = lambda *_: lose_the_lock(project)
    with pytest.raises(WarehouseFailed, match="another sync may hold it now"):
        project.sync()
    assert project.counts() == counts
    upstream.on_request = None
    assert project.sync().complete
    assert_equal_to_truth(project, world)


def test_a_load_in_which_the_lock_is_lost_does_not_count(
    make_world: MakeWorld,
    simulate: Simulate,
    project: PostgresProject,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = make_world(bots={"support": 30})
    project.configure(simulate(world))
    assert project.sync().complete
    before = project.rows("from chat._dlt_loads")
    world.advance(timedelta(minutes=3))
    world.chat(ids(world, "support")[-1])
    copy = CopyJob.run

    def copied_unlocked(job: CopyJob) -> None:
        lose_the_lock(project)
        copy(job)

    with monkeypatch.context() as patched:
        patched.setattr(CopyJob, "run", copied_unlocked)
        with pytest.raises(WarehouseFailed, match="another sync may hold it now"):
            project.sync()
    assert project.rows("from chat._dlt_loads") == before
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
