"""`status --max-lag`: which bots were not read completely for too long."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import pytest
from test_cli import convoy, held, one_sentence

from pipelines import publish, sync
from pipelines.errors import WarehouseBusy
from pipelines.lag import Lags, compared, lags

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate
    from project import Project

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SUPPORT, SALES, GONE = (("gptbots", name) for name in ("support", "sales", "gone"))


def stale(found: Lags) -> list[str]:
    return [bot.bot for bot in found.stale]


@pytest.mark.parametrize(
    ("last", "late"),
    [
        ({}, ["support", "sales"]),
        ({SUPPORT: NOW, SALES: NOW - HOUR}, []),
        ({SUPPORT: NOW, SALES: NOW - HOUR - timedelta(seconds=1)}, ["sales"]),
        ({SUPPORT: NOW, SALES: NOW + HOUR}, []),  # a clock that was set back
        ({SUPPORT: NOW, SALES: NOW, GONE: NOW - 9 * HOUR}, []),  # no longer configured
    ],
)
def test_a_bot_is_stale_after_more_than_that_or_without_any_complete_sync(
    last: dict[tuple[str, str], datetime], late: list[str]
) -> None:
    assert stale(compared([SUPPORT, SALES], last, HOUR, NOW)) == late


def age(path: object, bot: str, by: timedelta) -> None:
    """Let a bot's syncs lie back."""
    with duckdb.connect(str(path)) as connection:
        sql = "update chat.sync_windows set finished_at = finished_at - ? where bot = ?"
        connection.execute(sql, [by, bot])


@pytest.fixture
def synced(project: Project, make_world: MakeWorld, simulate: Simulate) -> Project:
    project.configure(simulate(make_world(bots={"support": 12, "sales": 3})))
    assert project.sync().complete
    return project


def test_it_names_who_is_late_and_ends_with_1(synced: Project) -> None:
    fresh = convoy("status", "--max-lag", "1h")
    assert (fresh.returncode, fresh.stderr) == (0, "")
    age(synced.warehouse, "sales", 3 * HOUR)

    late = convoy("status", "--max-lag", "1h")
    assert late.returncode == 1
    first, last = late.stdout.splitlines()
    assert first.startswith("STALE gptbots sales: last complete sync 20")
    assert last == "1 of 2 bots lag behind by more than 1:00:00"

    document = json.loads(convoy("status", "--max-lag", "1h", "--json").stdout)
    assert document["fresh"] is False
    assert [bot["bot"] for bot in document["bots"] if bot["stale"]] == ["sales"]
    assert convoy("status", "--max-lag", "4h").returncode == 0


def test_a_sync_that_fails_or_is_not_certified_does_not_count(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    served = simulate(make_world(bots={"support": 12, "sales": 3}))
    project.configure(served, keys={"sales": "wrong"})
    assert not project.sync().complete
    assert stale(lags(project.settings(), [SUPPORT, SALES], HOUR)) == ["sales"]


def test_before_the_first_sync_every_bot_is_late(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    project.configure(simulate(make_world(bots={"support": 1})))
    done = convoy("status", "--max-lag", "1h")
    assert done.returncode == 1
    assert "STALE gptbots support: no complete sync yet" in done.stdout


def test_without_bots_or_with_a_wrong_lag_it_ends_with_2(project: Project) -> None:
    assert project
    for lag in ("1h", "soon"):
        done = convoy("status", "--max-lag", lag)
        assert done.returncode == 2
        assert done.stdout == ""
    assert one_sentence(convoy("status", "--max-lag", "1h").stderr)


def test_while_another_program_writes_the_published_file_tells(synced: Project) -> None:
    settings = synced.settings()
    with held(synced.warehouse, read_only=False), pytest.raises(WarehouseBusy):
        lags(settings, [SUPPORT], HOUR, patience=0.3)  # nothing is published
    sync.build_models(settings)
    publish.publish(settings)

    with held(synced.warehouse, read_only=False):
        assert not lags(settings, [SUPPORT, SALES], HOUR).stale
        asked = lags(settings, [SUPPORT, SALES], timedelta(0), patience=0.3)
    assert stale(asked) == ["sales", "support"]


def test_the_warehouse_tells_what_is_newer_than_the_published_file(synced: Project) -> None:
    settings = synced.settings()
    age(synced.warehouse, "sales", 3 * HOUR)
    sync.build_models(settings)
    publish.publish(settings)
    age(synced.warehouse, "sales", -3 * HOUR)
    assert not lags(settings, [SUPPORT, SALES], HOUR).stale
