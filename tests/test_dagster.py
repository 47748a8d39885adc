"""The recipe for Dagster, run by Dagster itself on a simulated upstream."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import metadata
from typing import TYPE_CHECKING

import duckdb
import orchestrated
import pytest
from orchestrated import Dagster
from project import assert_equal_to_truth, bot, ids

from pipelines import models, publish, tables

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakeWorld, Simulate
    from project import Project

    from pipelines.simulator import World

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

SALES = "gptbots/sales_team_ba65f865"
BOTS = {"gptbots/support", SALES, "okchat/website"}
TABLES = {f"chat/{table.name}" for table in tables.ALL}
LEDGER = "marts/credit_ledger: every_credit_once"


@pytest.fixture(scope="module")
def environment(request: pytest.FixtureRequest) -> Path:
    return orchestrated.environment(request.config.cache.mkdir("dagster"))


@pytest.fixture
def dagster(environment: Path, project: Project, tmp_path: Path) -> Dagster:
    made = Dagster(environment, project.folder, tmp_path / "dagster")
    made.prepare()
    return made


def a_world(make_world: MakeWorld) -> World:
    return make_world(bots={"support": 300, "sales-team": 120}, chatbots={"website": 60})


def marts() -> set[str]:
    found = (models.project_dir() / "models" / "marts").glob("*.sql")
    return {f"marts/{path.stem}" for path in found}


def credits_of(warehouse: Path) -> object:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return connection.execute("select sum(credits) from marts.credit_ledger").fetchone()


def test_the_packages_stand_beside_ours_and_replace_none(environment: Path) -> None:
    path = [str(orchestrated.packages(environment))]
    there = {found.name for found in metadata.distributions(path=path)}
    assert there >= {"dagster", "dagster-dbt"}
    ours = {found.name for found in metadata.distributions()}
    assert there & ours <= {"pip", "setuptools"}  # which each environment has


def test_everything_is_materialised_checked_and_published(
    project: Project, dagster: Dagster, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = a_world(make_world)
    project.configure(simulate(world))
    first = dagster.ran("job", "execute", "-j", "sync")
    assert (first["status"], first["failed"]) == ("SUCCESS", {}), first["said"]
    assert set(first["made"]) >= BOTS | TABLES | marts() | {"published", "staging/platforms"}
    assert_equal_to_truth(project, world)
    assert first["made"]["gptbots/support"]["rows_loaded"] == 300
    assert first["made"]["chat/conversations"]["dagster/row_count"] == 480
    assert credits_of(project.published) == credits_of(project.warehouse)
    assert first["checks"][LEDGER][0]
    assert [name for name, (passed, _) in first["checks"].items() if not passed] == []
    assert project.settings().work.joinpath("dagster").is_dir()

    compared = dagster.ran("job", "execute", "-j", "verify")
    wanted = {f"{name}: agrees_with_the_api": [True, None] for name in BOTS}
    assert (compared["status"], compared["checks"]) == ("SUCCESS", wanted)

    before = project.counts()
    again = dagster.ran("job", "execute", "-j", "sync")
    assert set(again["made"]) == set(first["made"])
    assert {again["made"][name]["rows_loaded"] for name in BOTS} == {0}
    assert again["made"]["published"]["changed"] is False
    assert project.counts() == before


def test_a_bot_that_fails_fails_alone(
    project: Project, dagster: Dagster, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = a_world(make_world)
    upstream = simulate(world)
    project.configure(upstream, keys={"sales-team": "a-key-of-yesterday"})
    done = dagster.ran("job", "execute", "-j", "sync")
    assert done["status"] == "FAILURE"
    [(step, why)] = done["failed"].items()
    assert step.endswith(SALES.replace("/", "__"))
    assert "sales-team" in why
    assert "a-key-of-yesterday" not in str(done)
    assert BOTS & set(done["made"]) == BOTS - {SALES}
    assert set(done["made"]) >= TABLES | marts() | {"published"}
    assert_equal_to_truth(project, world, "support", "website")
    assert publish.is_current(project.settings())

    project.configure(upstream)
    again = dagster.again()
    assert (again["status"], set(again["made"])) == ("SUCCESS", {SALES}), again["said"]
    assert_equal_to_truth(project, world)


def test_one_bot_is_read_alone_and_old_months_are_read_again(
    project: Project, dagster: Dagster, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = a_world(make_world)
    upstream = simulate(world)
    project.configure(upstream)
    assert project.sync().complete
    world.begin("support")
    before = len(upstream.log)
    done = dagster.ran("asset", "materialize", "--select", "gptbots/support")
    assert (done["status"], set(done["made"])) == ("SUCCESS", {"gptbots/support"})
    assert {logged.bot for logged in upstream.log[before:]} == {"support"}
    assert_equal_to_truth(project, world)

    old = ids(world, "support")[250]
    [row] = [r for r in world.truth("gptbots", "support") if r["conversation_id"] == old]
    world.settle(old, Decimal("0.25"))
    assert bot(project.sync(), "support").rows_loaded == 0
    month = datetime.fromtimestamp(int(str(row["recent_chat_time"])) / 1000, UTC).replace(day=1)
    until = (month + timedelta(days=40)).replace(day=1)
    span = f"{month:%Y-%m-%d}...{until:%Y-%m-%d}"
    before = len(upstream.log)
    select = ("--select", "history/gptbots/support", "--partition-range", span)
    done = dagster.ran("asset", "materialize", *select)
    assert (done["status"], set(done["made"])) == ("SUCCESS", {"history/gptbots/support"})
    assert done["partitions"] == [f"{month:%Y-%m-%d}", f"{until:%Y-%m-%d}"]
    assert {logged.bot for logged in upstream.log[before:]} == {"support"}
    assert_equal_to_truth(project, world)


def test_a_check_that_fails_is_told_and_holds_back_what_dashboards_read(
    project: Project, dagster: Dagster, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = a_world(make_world)
    project.configure(simulate(world))
    assert dagster.ran("job", "execute", "-j", "sync")["status"] == "SUCCESS"
    published = credits_of(project.published)
    lost = ids(world, "website")[5]
    with duckdb.connect(str(project.warehouse)) as connection:
        connection.execute("delete from chat.conversations where conversation_id = ?", [lost])
        connection.execute(
            "update chat.conversations set cost_credit = cost_credit + 1 where conversation_id = ?",
            [ids(world, "support")[200]],
        )
    compared = dagster.ran("job", "execute", "-j", "verify")
    passed, why = compared["checks"]["okchat/website: agrees_with_the_api"]
    assert (passed, why) == (False, "differs: {'missing': 1, 'stale': 0, 'deleted': 0}")
    done = dagster.ran("job", "execute", "-j", "sync")
    assert (done["status"], done["checks"][LEDGER][0]) == ("FAILURE", False)
    assert "published" not in done["made"]
    assert credits_of(project.published) == published
