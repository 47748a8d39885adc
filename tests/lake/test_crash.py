from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from project import ids
from sound import assert_right, assert_sound

from lake.lakehouse import TESTS, environment
from pipelines.cursor import stored_cursors
from pipelines.warehouse import connect

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate

    from lake.lakehouse import LakeProject

TABLES = (
    "conversations",
    "last_messages",
    "conversation_changes",
    "sync_windows",
    "_dlt_version",
    "_dlt_pipeline_state",
    "_dlt_loads",
)


def killed(project: LakeProject, table: str) -> None:
    """Sync in a process that kills itself before it writes to a table."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, str(TESTS / "lake" / "killed.py"), table],
        cwd=project.folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.long
@pytest.mark.parametrize("table", TABLES)
def test_a_sync_that_is_killed_between_two_commits_is_made_good(
    table: str, make_world: MakeWorld, simulate: Simulate, project: LakeProject
) -> None:
    world = make_world(bots={"support": 230}, chatbots={"website": 120})
    project.configure(simulate(world))
    for turn in range(2):  # a first load, and one on top
        world.advance(timedelta(seconds=1), activity=False)
        for name in world.accounts:
            world.chat(ids(world, name)[-1])
            world.begin(name)
        if not (turn and table == "_dlt_version"):  # its schema is written once
            killed(project, table)
        assert_sound(project, world)
        assert project.sync().complete
        assert_right(project, world)


@pytest.mark.parametrize(
    ("table", "cursors"),
    [
        ("conversations", 0),
        ("conversation_changes", 0),
        ("_dlt_pipeline_state", 0),
        ("_dlt_loads", 1),  # dlt's state is there: so are all rows of its package
    ],
)
def test_no_cursor_and_no_certificate_counts_before_its_rows(
    table: str, cursors: int, make_world: MakeWorld, simulate: Simulate, project: LakeProject
) -> None:
    world = make_world(bots={"support": 230})
    project.configure(simulate(world))
    killed(project, table)
    with connect(project.lake) as connection:
        assert len(stored_cursors(connection)) == cursors
    assert project.count("sync_windows") == 0
    assert_sound(project, world)


@pytest.mark.long
def test_what_a_dead_worker_left_half_made_is_made_whole(
    make_world: MakeWorld, simulate: Simulate, project: LakeProject
) -> None:
    """Killed while its tables were made: some are there."""
    world = make_world(bots={"support": 30})
    project.configure(simulate(world))
    program = (
        "import os; from pipelines import settings, upgrade; from pipelines.lake import delta\n"
        "make = delta.make\n"
        "def dying(lake, name, schema):\n"
        "    os.kill(os.getpid(), 9) if name == 'last_messages' else make(lake, name, schema)\n"
        "delta.make = dying\n"
        "upgrade.begin(settings.load().warehouse)"
    )
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", program], cwd=project.folder, env=environment(), check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert project.run("status").returncode == 0
    assert project.sync().complete
    assert_right(project, world)
