from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import duckdb
from copied import copy
from engines.history import BOOKS, BOTS, CHATBOTS, MESSAGES, ZONE, disturb
from engines.marts import Marts, assert_same, in_order
from project import ids

from pipelines import models
from pipelines.report import data as report
from pipelines.sync import build_models
from postgres.server import PASSWORD
from postgres.test_crash import run

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakeWorld, Simulate

    from pipelines.simulator import World
    from postgres.server import PostgresProject

TABLES = "select table_name from information_schema.tables where table_schema = 'marts'"


def convoy(project: PostgresProject, *command: str) -> str:
    """Run a command as a user does; return what it says."""
    done = run(project, "-m", "pipelines", *command)
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    return done.stdout


def live_on(world: World) -> None:
    """Let all sorts of things happen."""
    world.delete(ids(world, "support")[3])
    world.advance(timedelta(seconds=2), activity=False)
    for name in world.accounts:
        world.chat(ids(world, name)[-1])
        world.begin(name)


def marts(project: PostgresProject) -> Marts:
    names = [row["table_name"] for row in project.rows(TABLES)]
    return {name: in_order(project.rows(f"from marts.{name}")) for name in names}


def marts_of_file(file: Path) -> Marts:
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return {
            name: in_order(connection.execute(f"from marts.{name}").to_arrow_table().to_pylist())
            for (name,) in connection.execute(TABLES).fetchall()
        }


def test_all_commands_work_on_a_database(
    make_world: MakeWorld, simulate: Simulate, project: PostgresProject, tmp_path: Path
) -> None:
    world = make_world(bots={"support": 130, "sales": 20}, chatbots={"website": 60})
    project.configure(simulate(world), gptbots=BOOKS, okchat=MESSAGES)
    convoy(project, "sync")
    status = json.loads(convoy(project, "status", "--json"))
    assert status["models_current"]
    live_on(world)
    convoy(project, "sync")
    gone = ids(world, "support")[5]
    project.server.ask(
        project.database, "delete from chat.conversations where conversation_id = %s", gone
    )
    convoy(project, "verify", "--repair")
    live = "select count(*) as n from marts.conversations"
    expected = sum(len(ids(world, name)) for name in world.accounts)
    assert json.loads(convoy(project, "query", live, "--json")) == [{"n": expected}]
    convoy(project, "models", "--full-refresh")
    convoy(project, "models", "test")
    convoy(project, "models", "docs", "--output", str(tmp_path / "docs.html"))
    convoy(project, "report", "--output", str(tmp_path / "report.html"))
    for page in tmp_path.glob("*.html"):
        assert PASSWORD not in page.read_text(encoding="utf-8")


def test_marts_are_those_of_a_file(
    make_world: MakeWorld, simulate: Simulate, project: PostgresProject, tmp_path: Path
) -> None:
    """Built on a database, and on a file into which is copied what it holds."""
    world, rng = make_world(bots=BOTS, chatbots=CHATBOTS), Random(3)  # noqa: S311 - a drawn world
    project.configure(simulate(world), gptbots=BOOKS, okchat=MESSAGES)
    in_zone = project.settings().model_copy(update={"time_zone": ZONE})
    for stage in ("first", "second"):
        disturb(world, rng)
        assert project.sync(yes=True).complete
        build_models(in_zone)  # the second on top of the first
        file = tmp_path / f"{stage}.duckdb"
        with duckdb.connect(str(file)) as connection:
            connection.execute("set TimeZone = 'UTC'")
            copy(project.at, connection)
        models.build(file, tmp_path / stage, zone=ZONE)
        assert_same(marts(project), marts_of_file(file))
        now = datetime.now(UTC)
        assert report.read(project.at, now=now) == report.read(file, now=now)
