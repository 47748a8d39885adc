"""The models of a lakehouse: Spark SQL builds them out of its Delta tables."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import duckdb
from engines.history import BOOKS, MESSAGES, ZONE, disturb, marts_of
from engines.marts import assert_same

from pipelines import models, tables
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

BOTS = {"support": 30, "Sales": 20, "_spare": 10}
CHATBOTS = {"website": 20}


def test_marts_are_duckdbs(
    make_world: MakeWorld, simulate: Simulate, project: LakeProject, sail: Spark, tmp_path: Path
) -> None:
    """Of what four workers wrote, and one on top once Spark knew the tables."""
    world, rng = make_world(bots=BOTS, chatbots=CHATBOTS), Random(20)  # noqa: S311 - a drawn world
    project.configure(simulate(world, Knobs(bill="account")), gptbots=BOOKS, okchat=MESSAGES)
    for number in range(1, 5):
        worker = project.settings().model_copy(update={"shard": Shard(number, 4)})
        assert sync(worker, models=False).complete
    show(project.lake, sail)
    disturb(world, rng)
    assert project.sync(yes=True).complete
    models.build_on(sail.engine, tmp_path, zone=ZONE, tests=True)
    copied = copy(project.lake, tmp_path / "copy.duckdb")
    assert_same(sail.marts(), marts_of(copied, tmp_path / "duckdb"))


def show(lake: Lake, spark: Spark) -> None:
    """Tell Spark where the tables are, as docs/lakehouse.md has it."""
    spark.run("create schema chat")
    for table in tables.ALL:
        place = lake.table(table.name)
        spark.run(f"create table chat.{table.name} using delta location '{place}'")


def copy(lake: Lake, to: Path) -> Path:
    """Copy all that is loaded into a DuckDB file."""
    with connect(lake, read_only=True) as loaded, duckdb.connect(str(to)) as file:
        file.execute("create schema chat")
        for table in tables.ALL:
            rows = loaded.execute(f"from chat.{table.name}").to_arrow_table()
            file.register("rows_of_it", rows)
            file.execute(f"create table chat.{table.name} as from rows_of_it")
    return to
