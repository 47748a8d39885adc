"""The models of a lakehouse: Spark SQL builds them out of its Delta tables."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import duckdb
from engines.history import BOOKS, MESSAGES, ZONE, disturb, marts_of
from engines.marts import Marts, assert_same, rows_of

from pipelines import tables
from pipelines.lake import delta
from pipelines.shard import Shard
from pipelines.simulator import Knobs
from pipelines.sync import sync
from pipelines.warehouse import connect

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakeWorld, Simulate
    from engines.spark import Spark

    from lake.lakehouse import LakeProject
    from pipelines.lake.place import Lake

BOTS = {"support": 20, "Sales": 10, "_spare": 5}
CHATBOTS = {"website": 15}


def test_marts_are_duckdbs(
    make_world: MakeWorld, simulate: Simulate, project: LakeProject, sail: Spark, tmp_path: Path
) -> None:
    """Of what four workers wrote, and one on top; built twice, by processes of their own."""
    world, rng = make_world(bots=BOTS, chatbots=CHATBOTS), Random(20)  # noqa: S311 - a drawn world
    project.configure(simulate(world, Knobs(bill="account")), gptbots=BOOKS, okchat=MESSAGES)
    use(project, sail.engine.variables["CONVOY_SPARK_REMOTE"])
    for number in range(1, 5):
        worker = project.settings().model_copy(update={"shard": Shard(number, 4)})
        assert sync(worker, models=False).complete
    build(project)
    disturb(world, rng)
    assert project.sync(yes=True).complete
    build(project)
    copied = copy(project.lake, tmp_path / "copy.duckdb")
    wanted = marts_of(copied, tmp_path / "duckdb")
    assert_same(marts(project.lake, wanted), wanted)


def test_a_server_that_is_not_there_is_told(
    make_world: MakeWorld, simulate: Simulate, project: LakeProject
) -> None:
    project.configure(simulate(make_world(bots={"support": 1})))
    use(project, "sc://127.0.0.1:1")
    assert project.sync().complete
    done = project.run("models")
    assert done.returncode == 1
    assert done.stderr.startswith("convoy: sc://127.0.0.1:1: ")
    assert "Traceback" not in done.stderr


def use(project: LakeProject, remote: str) -> None:
    """Configure where the models are built."""
    with (project.folder / ".dlt" / "config.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[models]\nspark = "{remote}"\ntime_zone = "{ZONE}"\n')


def build(project: LakeProject) -> None:
    done = project.run("models")
    assert (done.returncode, done.stderr) == (0, "")


def marts(lake: Lake, names: Marts) -> Marts:
    """Return all rows of the marts, as they lie in the lakehouse."""
    library = delta.library()
    found = {name: library.DeltaTable(str(lake.folder / "marts" / name)) for name in names}
    return {name: rows_of(table.to_pyarrow_table()) for name, table in found.items()}


def copy(lake: Lake, to: Path) -> Path:
    """Copy all that is loaded into a DuckDB file."""
    with connect(lake, read_only=True) as loaded, duckdb.connect(str(to)) as file:
        file.execute("create schema chat")
        for table in tables.ALL:
            file.register("loaded", loaded.execute(f"from chat.{table.name}").to_arrow_table())
            file.execute(f"create table chat.{table.name} as from loaded")
    return to
